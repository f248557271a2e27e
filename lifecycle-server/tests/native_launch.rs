//! Sandboxes of the native runtime: what they find inside, their limits, their end, and what stays behind (nothing).

mod native_support;

use std::{fs, path::Path, time::Duration};

use lifecycle_server::runtime::{LaunchSpec, Limits, Runtime, RuntimeError, native::OverlayWay};
use native_support::{Bed, in_own_network, sh};

#[test]
fn a_sandbox_finds_what_it_was_promised() {
    in_own_network(|| async {
        let bed = Bed::with(|config| config.dns_servers = vec!["203.0.113.53".parse().unwrap()]).await;
        let text = bed
            .output("id -u; cat /proc/self/uid_map; hostname; env; pwd; cat /etc/resolv.conf; ls -ld /srv/here /tmp /etc; echo $$")
            .await;
        for line in
            ["GREETING=hello", "EXECD_ACCESS_TOKEN=t0ken", "EXECD_URL=http://127.0.0.1:44772", "EXECD_INIT=1"]
        {
            assert!(text.lines().any(|printed| printed == line), "{line} is missing: {text}");
        }
        assert!(text.starts_with("0\n"), "{text}");
        assert!(text.lines().nth(1).unwrap().trim_end().ends_with("65536"), "{text}");
        assert!(text.lines().nth(2).unwrap().starts_with("sandbox-"), "{text}");
        assert!(text.contains("nameserver 203.0.113.53\n"), "{text}");
        assert!(text.contains("drwxrwxrwt"), "{text}");
        assert!(text.ends_with("\n1\n"), "not the first process: {text}");
        bed.expect_clean_end().await;
    });
}

#[test]
fn files_are_private_and_the_image_stays_as_it_was() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        let text = bed
            .output(
                "echo changed > /bin/new; rm /bin/true; chown 33:44 /bin/new; ls -ln /bin/new; cat /opt/opensandbox/.env; \
                 echo x > /opt/opensandbox/execd; rm -f /opt/opensandbox/execd; ln /bin/new /bin/linked && echo linked",
            )
            .await;
        assert!(text.contains(" 33 "), "{text}");
        assert!(text.contains("linked\n"), "{text}");
        assert!(
            text.contains("Read-only file system") || text.contains("busy"),
            "execd could be changed: {text}"
        );
        let layer = bed.dir.path().join("layer/bin");
        assert!(!layer.join("new").exists());
        assert!(fs::symlink_metadata(layer.join("true")).is_ok());
        assert!(!bed.output("ls /bin/true /bin/new").await.contains("/bin/new\n"));
        bed.expect_clean_end().await;
    });
}

#[test]
fn ends_are_reported_once_with_their_status() {
    in_own_network(|| async {
        let mut bed = Bed::new().await;
        let three = bed.launch("exit 3").await;
        assert_eq!(bed.exit().await, (three.id.clone(), Some(3), false));
        let starved = bed.spec("exec dd if=/dev/zero of=/dev/null bs=300M count=1");
        let limits = Limits { memory_bytes: Some(32 << 20), ..Limits::default() };
        bed.start_spec(&LaunchSpec { limits, ..starved.clone() }).await.unwrap();
        assert_eq!(bed.exit().await, (starved.id.clone(), Some(137), true));
        let killed = bed.launch("sleep 1000").await;
        for id in [three.id, starved.id, killed.id] {
            bed.runtime.destroy(&id).await.unwrap();
            bed.runtime.destroy(&id).await.unwrap();
        }
        assert!(bed.exits.try_recv().is_err(), "an end was reported twice, or one that was asked for");
        bed.expect_clean_end().await;
    });
}

#[test]
fn limits_hold() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        let spec = bed.spec(
            "sh -c 'for i in $(seq 200); do sleep 5 & done' 2>&1 | tail -n 1; \
             dd if=/dev/zero of=/big bs=1M count=100 2>&1 | grep -o 'No space'; echo END; sleep 1000",
        );
        let limits = Limits {
            cpu_millis: Some(500),
            memory_bytes: Some(64 << 20),
            pids: Some(32),
            disk_bytes: Some(32 << 20),
            ..Limits::default()
        };
        let spec = LaunchSpec { limits, ..spec };
        bed.start_spec(&spec).await.unwrap();
        let text = bed.printed(&spec.id, "END").await;
        assert!(text.contains("an't fork"), "no limit on processes: {text}");
        assert!(text.contains("No space"), "no limit on the disk: {text}");
        let usage = bed.runtime.usage(&spec.id).await.unwrap();
        assert!(usage.memory_bytes > 0 && usage.memory_peak_bytes.unwrap() <= 64 << 20, "{usage:?}");
        assert!(usage.pids >= 1 && usage.pids <= 32 && usage.cpu_micros > 0, "{usage:?}");
        assert!(usage.disk_bytes.unwrap() >= 16 << 20, "{usage:?}");
        bed.runtime.destroy(&spec.id).await.unwrap();
        assert!(matches!(bed.runtime.usage(&spec.id).await, Err(RuntimeError::NotFound(_))));
        bed.expect_clean_end().await;
    });
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        let empty = bed.dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let spec = LaunchSpec { layers: vec![empty], ..bed.spec("true") };
        // The stand-in for execd is a script, and this image has no shell.
        let error = bed.start_spec(&spec).await.unwrap_err();
        assert!(
            matches!(&error, RuntimeError::StartFailed(text) if text.contains("No such file")),
            "{error}"
        );
        bed.runtime.release(&spec.id);
        let missing = LaunchSpec { layers: vec!["/no/such/layer".into()], ..bed.spec("true") };
        let error = bed.start_spec(&missing).await.unwrap_err();
        assert!(error.to_string().contains("root file system"), "{error}");
        bed.runtime.release(&missing.id);
        let relative = LaunchSpec { cwd: "here".into(), ..bed.spec("true") };
        assert!(matches!(bed.start_spec(&relative).await, Err(RuntimeError::Invalid(_))));
        bed.runtime.release(&relative.id);
        bed.expect_clean_end().await;
    });
}

#[test]
fn what_no_host_could_do_is_refused_by_name() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        let limits = Limits { disk_bytes: Some(1 << 60), ..Limits::default() };
        let huge = LaunchSpec { limits, ..bed.spec("true") };
        let error = bed.start_spec(&huge).await.unwrap_err();
        assert!(matches!(&error, RuntimeError::Invalid(text) if text.contains("disk")), "{error}");
        bed.runtime.release(&huge.id);
        let hollow = LaunchSpec { layers: Vec::new(), ..bed.spec("true") };
        let error = bed.start_spec(&hollow).await.unwrap_err();
        assert!(matches!(&error, RuntimeError::Invalid(text) if text.contains("no layers")), "{error}");
        bed.runtime.release(&hollow.id);
        bed.expect_clean_end().await;
    });
}

/// Kernels before 6.15 want overlays by path; the option string of the old way is a page.
#[test]
fn an_older_kernels_way_gives_the_same_sandbox() {
    in_own_network(|| async {
        let bed = Bed::with(|config| config.overlay = OverlayWay::Attached).await;
        let mut spec = bed.spec(
            "cat /marks/*; echo new > /marks/0; rm /marks/1; ls /marks | wc -l; chown 33:44 /marks/2; \
             ls -ln /marks/2 /opt/opensandbox/execd; echo x > /opt/opensandbox/execd; grep ' / ' /proc/mounts; echo END; sleep 1000",
        );
        for number in 0..200 {
            let layer = bed.dir.path().join(format!("a-layer-with-a-rather-long-name-{number}"));
            fs::create_dir_all(layer.join("marks")).unwrap();
            fs::write(layer.join("marks").join((number % 3).to_string()), format!("from {number}\n"))
                .unwrap();
            spec.layers.push(layer);
        }
        bed.start_spec(&spec).await.unwrap();
        let text = bed.printed(&spec.id, "END").await;
        assert!(text.starts_with("from 0\nfrom 1\nfrom 2\n2\n"), "{text}");
        assert!(text.contains(" 33 ") && text.contains(" 44 "), "{text}");
        assert!(text.contains("Read-only file system"), "execd could be changed: {text}");
        assert!(!text.contains(&bed.dir.path().display().to_string()), "host paths show: {text}");
        assert_eq!(bed.holdings()["mounts"], 0, "the sandbox shows in the host's mount table");
        bed.runtime.destroy(&spec.id).await.unwrap();
        // Whatever was in the way of one start must not be in the way of the next.
        let broken = LaunchSpec { layers: vec!["/dev/null".into()], ..bed.spec("true") };
        assert!(bed.start_spec(&broken).await.is_err());
        bed.runtime.release(&broken.id);
        assert_eq!(bed.output("echo fine").await, "fine\n");
        bed.expect_clean_end().await;
    });
}

#[test]
fn a_start_nobody_waits_for_is_undone() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        for wait in [0, 1, 2, 4, 8] {
            let spec = bed.spec("sleep 1000");
            let gave_up =
                tokio::time::timeout(Duration::from_millis(wait), bed.start_spec(&spec)).await.is_err();
            if gave_up {
                // The undoing goes on by itself; until it is over the slot is not free.
                tokio::time::sleep(Duration::from_secs(2)).await;
                bed.runtime.release(&spec.id);
            } else {
                bed.runtime.destroy(&spec.id).await.unwrap();
            }
        }
        bed.expect_clean_end().await;
    });
}

#[test]
fn a_hundred_at_once() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        let specs: Vec<_> = (0..100).map(|_| bed.spec("sleep 1000")).collect();
        let starts = specs.iter().map(|spec| bed.start_spec(spec));
        for result in futures_util::future::join_all(starts).await {
            result.unwrap();
        }
        let held = bed.holdings();
        assert!(held["processes"] >= 100 && held["sandboxes"] == 100, "{held:?}");
        assert_eq!(held["mounts"], 0, "sandboxes show in the host's mount table");
        for result in
            futures_util::future::join_all(specs.iter().map(|spec| bed.runtime.destroy(&spec.id))).await
        {
            result.unwrap();
        }
        bed.expect_clean_end().await;
    });
}

#[test]
fn a_nearly_full_disk_takes_no_more_sandboxes() {
    in_own_network(|| async {
        let bed = Bed::with(|config| config.watermark.free_bytes = u64::MAX).await;
        let spec = bed.spec("true");
        let error = bed.start_spec(&spec).await.unwrap_err();
        assert!(matches!(&error, RuntimeError::Exhausted(text) if text.contains("MiB")), "{error}");
    });
}

#[test]
fn one_state_directory_one_server() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        let second = lifecycle_server::runtime::native::NativeRuntime::new(bed.config.clone());
        let error = second.err().expect("two servers share a state directory").to_string();
        assert!(error.contains("another server"), "{error}");
        bed.expect_clean_end().await;
    });
}

#[test]
fn runc_starts_them_too() {
    in_own_network(|| async {
        assert!(
            Path::new("/usr/sbin/runc").exists() || Path::new("/usr/bin/runc").exists(),
            "apt-get install runc"
        );
        let mut bed = Bed::with(|config| config.oci_runtime = "runc".into()).await;
        let text = bed
            .output(
                "id -u; cat /proc/self/uid_map; hostname; cat /etc/hostname; grep Seccomp: /proc/self/status",
            )
            .await;
        assert!(
            text.starts_with("0\n") && text.contains("sandbox-") && text.contains("Seccomp:\t2"),
            "{text}"
        );
        let seven = bed.launch("exit 7").await;
        assert_eq!(bed.exit().await, (seven.id.clone(), Some(7), false));
        bed.runtime.destroy(&seven.id).await.unwrap();
        assert_eq!(fs::read_dir(bed.config.state_dir.join("oci")).unwrap().count(), 0);
        bed.runtime.shutdown().await;
    });
}

#[test]
fn a_removed_sandbox_is_removed_whatever_its_start_was_at() {
    in_own_network(|| async {
        // Few enough that each number soon is somebody else's.
        let bed = Bed::with(|config| {
            config.subnet = Some("10.231.0.0/27".parse().unwrap());
            config.prepared_slots = 1;
        })
        .await;
        for round in 0..30 {
            let spec = bed.spec("sleep 1000");
            let given_up = tokio::time::timeout(Duration::from_millis(round), bed.start_spec(&spec)).await;
            bed.runtime.destroy(&spec.id).await.unwrap();
            let directory = bed.config.state_dir.join("sandboxes").join(&spec.id);
            let cgroup = format!("sandkeep-{}/{}", bed.tag, spec.slot.number);
            let listed = sh(&format!("grep -lsx '.*{cgroup}' /proc/[0-9]*/cgroup || true"));
            // One that has ended and waits for its parent to ask after it is there, but runs no more.
            let runs = |process: &&str| {
                let status = fs::read_to_string(process.replace("cgroup", "status")).unwrap_or_default();
                let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("Z").trim();
                !state.starts_with(['Z', 'X'])
            };
            let processes: Vec<&str> = listed.lines().filter(runs).collect();
            assert!(!directory.exists() && processes.is_empty(), "{round} {given_up:?}: {processes:?}");
        }
        let kept = bed.launch("echo END; sleep 1000").await;
        bed.printed(&kept.id, "END").await;
        bed.runtime.destroy(&kept.id).await.unwrap();
        bed.expect_clean_end().await;
    });
}
