//! The runtime goes and comes back; sandboxes do not notice.

mod native_support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use lifecycle_server::runtime::Runtime;
use native_support::{Bed, in_own_network, sh};

/// Tells the helper test below which state directory to use.
const STATE: &str = "SANDKEEP_TEST_STATE";

/// Kills the launchers of this test, which share its network namespace.
fn kill_launcher(parent: u32) {
    sh(&format!(
        "for pid in $(pgrep -P {parent} -x sandkeep-launch); do \
           [ \"$(readlink /proc/$pid/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ] && kill -9 $pid; done; true"
    ));
}

#[test]
fn the_launcher_may_die() {
    in_own_network(|| async {
        let mut bed = Bed::new().await;
        let before = bed.launch("sleep 1; exit 5").await;
        kill_launcher(std::process::id());
        // A new one is started when it is needed, and the orphan's end is still noticed.
        let after = bed.launch("exit 6").await;
        for (spec, code) in [(&after, 6), (&before, 5)] {
            assert_eq!(bed.exit().await, (spec.id.clone(), Some(code), false));
            bed.runtime.destroy(&spec.id).await.unwrap();
        }
        bed.expect_clean_end().await;
    });
}

/// Not a test: the server that the next test kills.
#[test]
#[ignore = "started by another test of this file"]
fn server_to_be_killed() {
    let Ok(directory) = std::env::var(STATE) else { return };
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    threads.block_on(async {
        let bed = Bed::with(|config| config.state_dir = Path::new(&directory).join("state")).await;
        let living =
            bed.launch("i=0; while [ $i -lt 30 ]; do echo tick; i=$((i+1)); sleep 0.1; done; exit 9").await;
        let mut bed = bed;
        let ended = bed.launch("exit 4").await;
        bed.exit().await;
        println!("READY {} {}", living.id, ended.id);
        std::future::pending::<()>().await;
    });
}

#[test]
fn sandboxes_survive_a_killed_server() {
    in_own_network(|| async {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        native_support::busybox_layer(dir.path());
        let mut server = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "server_to_be_killed", "--ignored", "--nocapture"])
            .env(STATE, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        let ready = lines
            .find_map(|line| line.split_once("READY ").map(|(_, ids)| ids.to_owned()))
            .expect("no server");
        let (living, ended) = ready.split_once(' ').unwrap();
        kill_launcher(server.id());
        server.kill().unwrap();
        server.wait().unwrap();
        // What a crash in the middle of a start leaves.
        let state = dir.path().join("state");
        fs::create_dir_all(state.join("sandboxes/half-made/upper")).unwrap();
        fs::create_dir_all(state.join("slots/4711")).unwrap();

        let mut config =
            lifecycle_server::runtime::native::NativeConfig::new(&state, dir.path().join("execd"));
        config.execd = fs::read_dir(state.join("bin")).unwrap().next().unwrap().unwrap().path();
        config.launcher = Some(env!("CARGO_BIN_EXE_lifecycle-server").into());
        config.prepared_slots = 1;
        config.overlay = native_support::overlay_way();
        let mut bed = Bed::start(dir.clone(), config);
        let mut found = bed.runtime.adopt().await.unwrap();
        found.sort_by_key(|found| !found.alive);
        let summary: Vec<_> =
            found.iter().map(|found| (found.id.as_str(), found.alive, found.exit_code)).collect();
        assert_eq!(summary, [(living, true, None), (ended, false, Some(4))]);
        assert!(bed.runtime.usage(living).await.unwrap().pids >= 1);
        // Its output still goes somewhere, its end is still reported, and new ones do not take its place.
        let new = bed.launch("sleep 1000").await;
        assert!(found.iter().all(|found| found.slot != new.slot));
        assert_eq!(bed.exit().await, (living.to_owned(), Some(9), false));
        assert!(bed.runtime.log(living).unwrap().tail(5).ends_with("tick\n"));
        for id in [living, ended, &new.id] {
            bed.runtime.destroy(id).await.unwrap();
        }
        bed.expect_clean_end().await;
    });
}
