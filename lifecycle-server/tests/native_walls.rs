//! A sandbox whose root is hostile: what it must not be able to do.

mod native_support;

use native_support::{Bed, in_own_network};

/// Commands that must fail for root inside, whatever the profile.
const REFUSED: &[&str] = &[
    // The host's files, devices and kernel.
    "mknod /tmp/b b 7 0",
    "mknod /tmp/c c 1 1",
    "cat /proc/kmsg",
    "dmesg",
    "echo 1 > /proc/sys/kernel/panic",
    "echo x > /proc/sys/kernel/core_pattern",
    "echo 1 > /proc/sys/vm/overcommit_memory",
    "sh -c 'echo -1000 > /proc/$$/oom_score_adj; test $(cat /proc/$$/oom_score_adj) -lt 0'",
    "echo 9 > /proc/sys/user/max_net_namespaces",
    "insmod /bin/busybox",
    "swapon /bin/busybox",
    "sh -c 'date -s 2099-01-01; test $(date +%Y) = 2099'",
    "reboot -f",
    "hostname other",
    "chrt -f 1 true",
    "nice -n -5 sh -c 'test $(nice) -lt 0'",
    // Its namespaces and mounts.
    "umount /proc",
    "umount -l /sys",
    "mount -o remount,rw /sys",
    "pivot_root / /tmp",
    "nsenter -t 1 -n true",
    "unshare -n true",
    "unshare -m true",
    // Its network.
    "ip link add d0 type dummy",
    "ip addr add 10.231.0.99/32 dev eth0",
    "ip route add 192.0.2.0/24 dev eth0",
    "ip link set eth0 address 02:00:00:00:00:01",
    "ip neigh add 10.231.0.1 lladdr 02:00:00:00:00:09 dev eth0",
    "arping -c 1 -w 1 10.231.0.1",
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
    "cat /proc/net/nf_conntrack",
    // execd.
    "echo > /opt/opensandbox/execd",
    "rm /opt/opensandbox/execd",
    "mv /opt/opensandbox/execd /opt/moved",
];

/// Refused as well unless the sandbox was made for nested isolation.
const REFUSED_BY_DEFAULT: &[&str] =
    &["mount -t tmpfs none /tmp", "unshare -U true", "mount --bind /etc /tmp"];

fn script(commands: &[&str]) -> String {
    commands
        .iter()
        .map(|command| format!("if ( {command} ) >/dev/null 2>&1; then echo \"DONE: {command}\"; fi\n"))
        .collect()
}

#[test]
fn hostile_root_gets_nowhere() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        assert_eq!(bed.output(&script(REFUSED)).await, "");
        assert_eq!(bed.output(&script(REFUSED_BY_DEFAULT)).await, "");
        let status = bed.output("grep -E 'NoNewPrivs|Seccomp:|CapBnd|CapInh' /proc/self/status").await;
        for line in
            ["CapBnd:\t00000000a80425fb", "CapInh:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
        {
            assert!(status.contains(line), "{status}");
        }
        bed.expect_clean_end().await;
    });
}

#[test]
fn nested_isolation_opens_no_other_door() {
    in_own_network(|| async {
        let bed = Bed::with(|config| config.no_new_privileges = false).await;
        let spec = lifecycle_server::runtime::LaunchSpec {
            nested_isolation: true,
            ..bed.spec(&format!(
                "{}\nunshare -Urm sh -c 'mount -t tmpfs none /tmp && echo nested'; \
                 unshare -Urn true 2>/dev/null && echo network; \
                 unshare -Ur sh -c 'echo 9 > /proc/sys/user/max_net_namespaces; unshare -n true' 2>/dev/null && echo raised; \
                 echo END; sleep 1000",
                script(REFUSED)
            ))
        };
        bed.start_spec(&spec).await.unwrap();
        assert_eq!(bed.printed(&spec.id, "END").await, "nested\n");
        use lifecycle_server::runtime::Runtime;
        bed.runtime.destroy(&spec.id).await.unwrap();
        bed.expect_clean_end().await;
    });
}

#[test]
fn nothing_of_the_host_shows() {
    in_own_network(|| async {
        let bed = Bed::new().await;
        let text = bed
            .output("ls /sys/class/net; ls /proc | grep -c '^[0-9]'; ls -ln /proc/1/fd; cat /proc/mounts")
            .await;
        assert!(text.starts_with("eth0\nlo\n"), "{text}");
        assert!(text.lines().nth(2).unwrap().parse::<u32>().unwrap() < 8, "foreign processes: {text}");
        assert!(!text.contains("socket:"), "a descriptor of the server leaked: {text}");
        let root = text.lines().find(|line| line.contains(" / overlay ")).expect("an overlay root");
        assert!(!root.contains("/layer") && !root.contains("sandboxes"), "host paths show: {root}");
        bed.expect_clean_end().await;
    });
}
