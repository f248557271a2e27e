//! What callers of the sandbox service notice, over a runtime in memory.

#![allow(clippy::unwrap_used, reason = "a failed test is what a broken assumption should be")]

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use lifecycle_server::{
    runtime::{Found, Limits},
    sandbox::{
        Capacity, CommittedMemory, CreateSpec, EgressOptions, Filter, NewPool, NewTemplate, Origin,
        PageRequest, Phase, Probe, Readiness, Recipe, Record, Scope, Service, ServiceError, ServiceOptions,
        State,
    },
    store::Store,
};
use support::{MemoryImages, MemoryRuntime, spec};

struct World {
    runtime: Arc<MemoryRuntime>,
    images: Arc<MemoryImages>,
    store: Store,
}

impl World {
    async fn new() -> Self {
        Self { runtime: Arc::default(), images: Arc::default(), store: Store::in_memory().await.unwrap() }
    }

    async fn start(&self, create_wait: Duration) -> Service {
        self.start_with(create_wait, None).await
    }

    async fn start_with(&self, create_wait: Duration, committed_memory: Option<CommittedMemory>) -> Service {
        let options = ServiceOptions {
            create_wait,
            egress: EgressOptions {
                mode: "dns+nft".to_owned(),
                patience: Duration::from_secs(5),
                trusted_ca: None,
                proxy: None,
                collector: None,
            },
            env: vec![],
            committed_memory,
            volumes: lifecycle_server::volume::Volumes::new(
                "/nonexistent".into(),
                vec![],
                "/nonexistent".as_ref(),
            ),
        };
        Service::start(self.runtime.clone(), self.images.clone(), self.store.clone(), options).await.unwrap()
    }

    /// The same disk and host under a new server process.
    fn restarted(&self, found: Vec<Found>) -> Self {
        let runtime = MemoryRuntime::default();
        *runtime.found.lock().unwrap() = found;
        Self { runtime: Arc::new(runtime), images: Arc::clone(&self.images), store: self.store.clone() }
    }

    async fn assert_empty(&self) {
        assert!(self.runtime.is_empty(), "the runtime still holds something");
        assert!(self.images.owners.lock().unwrap().is_empty(), "an image is still kept");
        assert!(self.store.load_all().await.unwrap().is_empty(), "a record is left");
    }
}

const LONG: Duration = Duration::from_secs(60);
const ALL: PageRequest = PageRequest { page: 1, page_size: 100 };

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen within 30 s");
}

#[tokio::test]
async fn a_sandbox_lives_and_goes_without_a_trace() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let record = service.create(spec("base")).await.unwrap();
    assert_eq!(record.status.state, State::Running);
    assert_eq!(service.get(&record.id).unwrap().id, record.id);
    service.delete(&record.id).await.unwrap();
    assert!(matches!(service.get(&record.id), Err(ServiceError::NotFound(_))));
    assert!(matches!(service.delete(&record.id).await, Err(ServiceError::NotFound(_))));
    world.assert_empty().await;
}

#[tokio::test]
async fn a_failed_create_leaves_nothing() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    assert!(matches!(service.create(spec("missing")).await, Err(ServiceError::Image(_))));
    world.runtime.fail_launch.store(true, Ordering::SeqCst);
    assert!(matches!(service.create(spec("base")).await, Err(ServiceError::Runtime(_))));
    assert_eq!(service.list(&Filter::default(), ALL).total_items, 0);
    world.assert_empty().await;
}

#[tokio::test]
async fn creates_at_once_are_promised_no_more_memory_than_there_is() {
    let world = World::new().await;
    let bound = CommittedMemory { most: 3 << 30, default: 1 << 30 };
    let service = world.start_with(LONG, Some(bound)).await;
    let creates = (0..12).map(|_| service.create(spec("base")));
    let (made, refused): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(creates).await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 3);
    assert!(refused.iter().all(|refusal| matches!(refusal, Err(ServiceError::NoRoom(_)))));
    service.delete(&made[0].as_ref().unwrap().id).await.unwrap();
    service.create(spec("base")).await.unwrap();
}

#[tokio::test]
async fn a_slow_image_answers_pending_and_runs_later() {
    let world = World::new().await;
    let service = world.start(Duration::from_millis(20)).await;
    let record = service.create(spec("slow")).await.unwrap();
    assert_eq!(record.status.state, State::Pending);
    world.images.slow_ones.notify_one();
    eventually("running", || service.get(&record.id).unwrap().status.state == State::Running).await;
}

#[tokio::test]
async fn a_failure_after_the_answer_stays_visible() {
    let world = World::new().await;
    let service = world.start(Duration::from_millis(20)).await;
    world.runtime.fail_launch.store(true, Ordering::SeqCst);
    let record = service.create(spec("slow")).await.unwrap();
    world.images.slow_ones.notify_one();
    eventually("failure", || service.get(&record.id).unwrap().status.state == State::Failed).await;
    let status = service.get(&record.id).unwrap().status.clone();
    assert_eq!(status.reason, "START_FAILED");
    assert_eq!(status.message.as_deref(), Some("no such program"));
    service.delete(&record.id).await.unwrap();
    world.assert_empty().await;
}

#[tokio::test]
async fn a_pending_sandbox_can_be_deleted_at_once() {
    for wait in [Duration::from_millis(10), LONG] {
        let world = World::new().await;
        let service = world.start(wait).await;
        let creator = tokio::spawn({
            let service = service.clone();
            async move { service.create(spec("slow")).await }
        });
        eventually("a record", || service.list(&Filter::default(), ALL).total_items == 1).await;
        let id = service.list(&Filter::default(), ALL).items[0].id.clone();
        let delete = async || tokio::time::timeout(LONG / 2, service.delete(&id)).await.unwrap().unwrap();
        if wait == LONG {
            delete().await;
            assert!(matches!(creator.await.unwrap(), Err(ServiceError::Cancelled(_))));
        } else {
            assert_eq!(creator.await.unwrap().unwrap().id, id);
            delete().await;
        }
        world.assert_empty().await;
    }
}

#[tokio::test]
async fn two_deletions_at_once_are_one_success_and_one_not_found() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let id = service.create(spec("base")).await.unwrap().id.clone();
    let (first, second) = tokio::join!(service.delete(&id), service.delete(&id));
    assert!(first.is_ok() != second.is_ok());
    assert!(matches!(first.and(second), Err(ServiceError::NotFound(_))));
}

#[tokio::test]
async fn an_ended_program_ends_the_sandbox_and_frees_the_host() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    for (code, state) in [(Some(0), State::Terminated), (Some(9), State::Failed)] {
        let id = service.create(spec("base")).await.unwrap().id.clone();
        world.runtime.end(&id, code);
        eventually("the end", || service.get(&id).unwrap().status.state == state).await;
        eventually("a free host", || world.runtime.is_empty()).await;
        service.delete(&id).await.unwrap();
    }
    world.assert_empty().await;
}

#[tokio::test]
async fn renewing_moves_the_expiry_and_expiry_removes() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let id = service.create(spec("base")).await.unwrap().id.clone();
    let past = service.renew(&id, Utc::now() - TimeDelta::seconds(1)).await;
    assert!(matches!(past, Err(ServiceError::InvalidExpiration(_))));
    let soon = service.renew(&id, Utc::now() + TimeDelta::milliseconds(300)).await.unwrap();
    assert_eq!(service.get(&id).unwrap().expires_at, Some(soon));
    eventually("expiry", || service.get(&id).is_err()).await;
    eventually("a free host", || world.runtime.is_empty()).await;

    let forever = service.create(CreateSpec { timeout: None, ..spec("base") });
    let id = forever.await.unwrap().id.clone();
    assert!(matches!(
        service.renew(&id, Utc::now() + TimeDelta::days(1)).await,
        Err(ServiceError::NeverExpires(_))
    ));
}

#[tokio::test]
async fn metadata_is_set_removed_and_filtered_by() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let id = service.create(spec("base")).await.unwrap().id.clone();
    let other = service.create(spec("base")).await.unwrap().id.clone();
    let pair = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    service.patch_metadata(&id, BTreeMap::from([pair("a", Some("1")), pair("b", Some(""))])).await.unwrap();
    let record =
        service.patch_metadata(&id, BTreeMap::from([pair("a", None), pair("nope", None)])).await.unwrap();
    assert_eq!(record.metadata, BTreeMap::from([("b".to_owned(), String::new())]));

    let by_metadata = Filter { metadata: record.metadata.clone().into_iter().collect(), ..Filter::default() };
    assert_eq!(service.list(&by_metadata, ALL).items[0].id, id);
    let by_state = Filter { states: vec!["RUNNING".to_owned(), "nonsense".to_owned()], ..Filter::default() };
    assert_eq!(service.list(&by_state, ALL).total_items, 2);
    let newest_first = service.list(&by_state, PageRequest { page: 1, page_size: 1 });
    assert_eq!((newest_first.items[0].id.as_str(), newest_first.has_next()), (other.as_str(), true));
    let past_the_end = service.list(&by_state, PageRequest { page: 9, page_size: 20 });
    assert!(past_the_end.items.is_empty() && !past_the_end.has_next());
}

#[tokio::test]
async fn a_paused_sandbox_resumes_ends_and_goes_like_any() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let id = service.create(spec("base")).await.unwrap().id.clone();
    let frozen = || world.runtime.frozen.lock().unwrap().contains(&id);
    assert!(matches!(service.resume(&id).await, Err(ServiceError::Denied(_))));
    assert_eq!(service.pause(&id).await.unwrap().status.state, State::Paused);
    assert!(frozen());
    assert!(matches!(service.pause(&id).await, Err(ServiceError::Denied(_))));
    let paused = Filter { states: vec!["paused".to_owned()], ..Filter::default() };
    assert_eq!(service.list(&paused, ALL).total_items, 1);
    assert_eq!(service.resume(&id).await.unwrap().status.state, State::Running);
    assert!(!frozen());
    service.pause(&id).await.unwrap();
    world.runtime.end(&id, Some(137));
    eventually("the end", || service.get(&id).unwrap().status.state == State::Failed).await;
    service.delete(&id).await.unwrap();

    let id = service.create(spec("base")).await.unwrap().id.clone();
    service.pause(&id).await.unwrap();
    service.delete(&id).await.unwrap();
    world.assert_empty().await;
}

#[tokio::test]
async fn a_stopped_sandbox_starts_again_and_a_failed_start_leaves_it_stopped() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let id = service.create(spec("base")).await.unwrap().id.clone();
    assert!(matches!(service.start_again(&id, true).await, Err(ServiceError::Denied(_))));
    service.pause(&id).await.unwrap();
    assert!(!service.stop(&id, true).await.unwrap());
    assert_eq!(service.get(&id).unwrap().status.reason, "STOPPED_FILES_ONLY");
    assert!(world.runtime.alive.lock().unwrap().is_empty());
    assert!(world.images.owners.lock().unwrap().contains(&id), "its image must stay");
    world.runtime.fail_launch.store(true, Ordering::SeqCst);
    assert!(matches!(service.start_again(&id, true).await, Err(ServiceError::Runtime(_))));
    let status = service.get(&id).unwrap().status.clone();
    assert_eq!((status.state, status.reason.as_str()), (State::Stopped, "START_FAILED"));
    world.runtime.fail_launch.store(false, Ordering::SeqCst);
    assert!(!service.start_again(&id, true).await.unwrap());
    service.stop(&id, false).await.unwrap();
    service.delete(&id).await.unwrap();
    world.assert_empty().await;
}

#[tokio::test]
async fn after_a_restart_the_freezer_is_as_the_record_says() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let paused = service.create(spec("base")).await.unwrap();
    let running = service.create(spec("base")).await.unwrap();
    service.pause(&paused.id).await.unwrap();
    let found =
        |id: &str, slot| Found { id: id.to_owned(), slot, alive: true, went_on: false, exit_code: None };
    let after = world.restarted(vec![found(&paused.id, paused.slot), found(&running.id, running.slot)]);
    after.runtime.frozen.lock().unwrap().insert(running.id.clone());
    let service = after.start(LONG).await;
    assert_eq!(after.runtime.frozen.lock().unwrap().iter().collect::<Vec<_>>(), [&paused.id]);
    assert_eq!(service.get(&paused.id).unwrap().status.state, State::Paused);
    assert_eq!(service.get(&running.id).unwrap().status.state, State::Running);
}

#[tokio::test]
async fn a_restart_makes_records_and_reality_agree() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(service.create(spec("base")).await.unwrap());
    }
    let [alive, ended, lost] = &ids[..] else { unreachable!() };
    let found = |id: &str, slot, alive, exit_code| Found {
        id: id.to_owned(),
        slot,
        alive,
        went_on: false,
        exit_code,
    };
    let after = world.restarted(vec![
        found(&alive.id, alive.slot, true, None),
        found(&ended.id, ended.slot, false, Some(0)),
        found("stray", alive.slot, true, None),
    ]);
    world.images.owners.lock().unwrap().insert("somebody long gone".to_owned());
    let service = after.start(LONG).await;
    assert_eq!(service.get(&alive.id).unwrap().status.state, State::Running);
    assert_eq!(service.get(&ended.id).unwrap().status.state, State::Terminated);
    assert_eq!(service.get(&lost.id).unwrap().status.reason, "SANDBOX_LOST");
    assert_eq!(after.runtime.alive.lock().unwrap().keys().collect::<Vec<_>>(), [&alive.id]);
    assert_eq!(after.images.owners.lock().unwrap().iter().collect::<Vec<_>>(), [&alive.id]);
}

#[tokio::test]
async fn the_end_of_an_earlier_run_does_not_end_the_next_one() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let id = service.create(spec("base")).await.unwrap().id.clone();
    service.stop(&id, false).await.unwrap();
    let mut half_way = Record::clone(&service.get(&id).unwrap());
    half_way.status.state = State::Resuming;
    world.store.update(&half_way, None).await.unwrap();
    // A server that was killed in the middle of the start left a process, which ends while the next server looks.
    let left = Found { id: id.clone(), slot: half_way.slot, alive: true, went_on: false, exit_code: None };
    let after = world.restarted(vec![left]);
    after.runtime.reserved.lock().unwrap().insert(id.clone(), half_way.slot);
    after.runtime.end(&id, Some(1));
    let service = after.start(LONG).await;
    eventually("running", || service.get(&id).unwrap().status.state == State::Running).await;
    // Told behind the earlier end, so that that one has been settled when this one is.
    let other = service.create(spec("base")).await.unwrap().id.clone();
    after.runtime.end(&other, Some(0));
    eventually("settled", || service.get(&other).unwrap().status.state == State::Terminated).await;
    assert_eq!(service.get(&id).unwrap().status.state, State::Running);
}

fn recipe() -> Recipe {
    Recipe {
        image: "base".to_owned(),
        image_id: None,
        command: vec!["sleep".to_owned()],
        env: BTreeMap::new(),
        limits: Limits::default(),
        working_dir: None,
        user: None,
        readiness: None,
    }
}

#[tokio::test]
async fn a_pool_may_have_all_the_memory_there_is_and_a_create_no_more() {
    let world = World::new().await;
    let bound = CommittedMemory { most: 2 << 30, default: 1 << 30 };
    let service = world.start_with(LONG, Some(bound)).await;
    let capacity = Capacity { buffer_max: 2, buffer_min: 2, pool_max: 2, pool_min: 2 };
    let pool =
        NewPool { name: "p".to_owned(), owner: None, recipe: recipe(), capacity, source: String::new() };
    service.create_pool(pool).await.unwrap();
    let view = || service.pool(&Scope::All, "p").unwrap();
    eventually("both members are ready", || view().available == 2).await;
    assert!(matches!(service.create(spec("base")).await, Err(ServiceError::NoRoom(_))));
    service.shutdown().await;
}

#[tokio::test]
async fn a_create_from_a_template_whose_probe_does_not_hold_leaves_nothing() {
    let world = World::new().await;
    let service = world.start(LONG).await;
    let readiness = Some(Readiness { probe: Some(Probe::Command("ask".to_owned())), seconds: 1 });
    let content = NewTemplate {
        recipe: Recipe { readiness, ..recipe() },
        resource_limits: None,
        publish: "p".to_owned(),
        format: "native".to_owned(),
        metadata: BTreeMap::new(),
        asked_entrypoint: None,
        asked_readiness: None,
    };
    let template = service.create_template(None, content).await.unwrap();
    let is_built = || service.template(&Scope::All, &template.id).unwrap().phase == Phase::Succeeded;
    eventually("the template is built", is_built).await;
    let wish = || CreateSpec { origin: Origin::Template(template.id.clone()), ..spec("base") };
    let record = service.create(wish()).await.unwrap();
    service.delete(&record.id).await.unwrap();

    world.runtime.probes_fail.store(true, Ordering::SeqCst);
    let error = service.create(wish()).await.unwrap_err();
    assert!(error.to_string().contains("within 1 s"), "{error}");
    assert_eq!(service.list(&Filter::default(), ALL).total_items, 0);
    service.delete_template(&Scope::All, &template.id).await.unwrap();
    eventually("the trial is gone", || world.runtime.is_empty()).await;
    world.assert_empty().await;
}

#[tokio::test]
async fn a_promised_sandbox_is_started_by_the_next_server() {
    let world = World::new().await;
    let service = world.start(Duration::from_millis(10)).await;
    let promised = service.create(spec("slow")).await.unwrap();
    assert_eq!(promised.status.state, State::Pending);
    let after = world.restarted(vec![]);
    let service = after.start(LONG).await;
    // The killed server's transfer is gone with it; both waits are woken because the old one still runs here.
    world.images.slow_ones.notify_waiters();
    eventually("running", || {
        world.images.slow_ones.notify_waiters();
        service.get(&promised.id).unwrap().status.state == State::Running
    })
    .await;
}
