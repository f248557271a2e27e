//! `docs/egress-attempts.md`: what somebody tries against an egress sidecar, and what comes of it.

use std::{io::Write, process::Stdio};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    attempts::{Section, arrived},
    intercepted::{SECRET, World},
    outside::{Intruder, Lab, RESOLVER},
};
use serde_json::{Value, json};

const RULES: &str = r#"{"defaultAction":"deny","egress":[
    {"action":"deny","target":"denied.test"},
    {"action":"deny","target":"middle.test"},
    {"action":"allow","target":"only.test"},
    {"action":"allow","target":"ok.test"},
    {"action":"allow","target":"*.ok.test"}]}"#;

/// Attempts with what must come of them. After each of them nothing may have left for an address that is not allowed.
struct Table<'a> {
    lab: &'a Lab,
    intruder: Intruder,
    section: Section,
}

impl Table<'_> {
    fn row(&mut self, what: &str, expected: &str, attempt: &str, arguments: Value) -> Result<()> {
        self.row_with(what, expected, attempt, arguments, json!({}))
    }

    fn row_with(
        &mut self,
        what: &str,
        expected: &str,
        attempt: &str,
        arguments: Value,
        named: Value,
    ) -> Result<()> {
        let seen = self.intruder.tries_with(attempt, arguments, named)?;
        self.tell(what, expected, seen)
    }

    fn tell(&mut self, what: &str, expected: &str, mut seen: String) -> Result<()> {
        let strays = self.lab.strays()?;
        if !strays.is_empty() {
            seen = format!("{seen}, and packets got to {}", strays.join(" and "));
        }
        self.section.row(what, expected, &seen)
    }
}

#[test]
fn attempts_to_get_around_the_rules_fail() -> Result<()> {
    let lab = Lab::new()?;
    let sidecar = lab.sidecar(&[("RULES", RULES), ("POLICY_FILE", "policy.json")])?;
    lab.watch()?;
    let mut table =
        Table { lab: &lab, intruder: lab.intruder()?, section: Section::new("Names and addresses") };
    names(&mut table)?;
    addresses(&mut table)?;
    disguises(&mut table)?;
    powers(&mut table)?;
    floods(&mut table)?;

    // A connection ends with the rule that let it pass, another one does not.
    let t = &mut table;
    t.row_with(
        "A connection to an allowed name",
        "reached",
        "tcp",
        json!(["93.184.216.34", 9999]),
        json!({"keep": "a"}),
    )?;
    t.lab.ask("PATCH", "/policy", Some(r#"[{"action":"deny","target":"unrelated.test"}]"#))?;
    t.row("It goes on when other rules change", "reached", "again", json!(["a"]))?;
    t.lab.ask("DELETE", "/policy", Some(r#"["ok.test","*.ok.test"]"#))?;
    t.row("It goes on after its rule is gone", "refused", "again", json!(["a"]))?;
    t.row("A new one after its rule is gone", "refused", "tcp", json!(["93.184.216.34", 80]))?;
    t.row("Its name after its rule is gone", "NXDOMAIN", "dns", json!(["ok.test"]))?;
    t.lab.ask("PUT", "/policy", Some(RULES))?;
    t.row("Its name once the rule is back", "93.184.216.34", "dns", json!(["ok.test"]))?;

    // While the sidecar is away less is reached, not more, and nobody takes its place.
    sidecar.kill()?;
    let t = &mut table;
    t.row("A denied address while the sidecar is killed", "refused", "tcp", json!(["93.184.216.35", 80]))?;
    t.row("A name while the sidecar is killed", "refused", "dns", json!(["ok.test"]))?;
    t.row("Listen at the API's port while the sidecar is killed", "listening", "impostor", json!([18080]))?;
    let visit = lab.inside.command("curl").args(["-s", "-m", "3", "http://127.0.0.1:18080/"]).status()?;
    ensure!(!visit.success(), "somebody else answers for the sidecar");
    t.row("Be called there by those who look for the sidecar", "nobody came", "visitors", json!([]))?;
    drop(std::mem::replace(&mut table.intruder, lab.intruder()?));
    let _sidecar = lab.sidecar(&[("POLICY_FILE", "policy.json")])?;
    let t = &mut table;
    t.row("A denied address once the sidecar is back", "refused", "tcp", json!(["93.184.216.35", 80]))?;
    t.row("An allowed name once the sidecar is back", "93.184.216.34", "dns", json!(["ok.test"]))?;
    // Last, as for a while every port has asked somebody.
    spray(t)?;
    neighbours(t)?;

    // Nothing of what was refused got out, not even as a question.
    let out: Vec<String> =
        lab.questions()?.into_iter().filter(|question| !question.contains("ok.test")).collect();
    ensure!(out.is_empty(), "questions got out: {out:?}");
    table.section.finish().with_context(|| lab.log())
}

fn names(t: &mut Table<'_>) -> Result<()> {
    t.row("An allowed name", "93.184.216.34", "dns", json!(["ok.test"]))?;
    t.row("An allowed name in other letters", "93.184.216.34", "dns", json!(["WWW.oK.tesT"]))?;
    t.row("An allowed name over IPv6", "2001:db8:1::34", "dns", json!(["ok.test", "2001:db8:1::53", 28]))?;
    t.row("A name without a rule", "NXDOMAIN", "dns", json!(["other.test"]))?;
    t.row(
        "It, asked of a server of one's own choice over TCP",
        "NXDOMAIN",
        "dns",
        json!(["other.test", "9.9.9.9", 1, "tcp"]),
    )?;
    t.row("It, asked of a private server", "NXDOMAIN", "dns", json!(["other.test", "10.9.9.9"]))?;
    t.row("It, asked of a server with IPv6", "NXDOMAIN", "dns", json!(["other.test", "2001:db8:1::53"]))?;
    t.row(
        "It, asked of the sidecar itself",
        "NXDOMAIN",
        "dns",
        json!(["other.test", "127.0.0.1", 1, "udp", 15353]),
    )?;
    t.row(
        "It, asked at an odd port",
        "not permitted",
        "dns",
        json!(["other.test", "8.8.8.8", 1, "udp", 5353]),
    )?;
    t.row(
        "It, asked at an odd port over TCP",
        "refused",
        "dns",
        json!(["other.test", "8.8.8.8", 1, "tcp", 5353]),
    )?;
    let label = "0123456789abcdef".repeat(3);
    let tunnel = format!("{label}.{label}.{label}.tunnel.test");
    t.row("Data in a long name, as TXT", "NXDOMAIN", "dns", json!([tunnel, "8.8.8.8", 16]))?;
    let below = |name: &str| json!([format!("{label}.{label}.{name}"), "8.8.8.8", 16]);
    t.row("It below a name that is allowed without its subdomains", "NXDOMAIN", "dns", below("only.test"))?;
    t.row(
        "It as a TXT record's answer to a name that is allowed",
        "hello",
        "dns",
        json!(["ok.test", "8.8.8.8", 16]),
    )?;
    // Whose names are allowed can be spoken to, by name as well.
    assert_eq!(t.intruder.tries("dns", below("ok.test"))?, "NXDOMAIN");
    let got_out = t.lab.questions()?.iter().any(|question| question.contains(&label));
    let seen = if got_out { "its owner is told" } else { "nobody is told" };
    t.tell("It below a wildcard that is allowed", "its owner is told", seen.to_owned())?;
    t.row(
        "A name that is too long",
        "FORMERR",
        "dns",
        json!([format!("{label}.{tunnel}.{label}.{label}.ok.test")]),
    )?;
    let dotted = json!({"raw": true});
    t.row_with("A dot inside a label", "REFUSED", "dns", json!(["other.test.ok|test"]), dotted)?;
    t.row("All types at once", "REFUSED", "dns", json!(["ok.test", "8.8.8.8", 255]))?;
    t.row("A whole zone", "REFUSED", "dns", json!(["ok.test", "8.8.8.8", 252, "tcp"]))?;
    t.row("Addresses and keys in an HTTPS record", "nothing", "dns", json!(["hint.ok.test", "8.8.8.8", 65]))?;
    t.row("An alias of a denied name", "NXDOMAIN", "dns", json!(["alias.ok.test"]))?;
    t.row(
        "An alias of a denied name that is an alias of an allowed one",
        "NXDOMAIN",
        "dns",
        json!(["through.ok.test"]),
    )?;
    t.row("An alias of a name nobody speaks of", "93.184.216.34", "dns", json!(["cdn.ok.test"]))?;
    t.row("A name that stands for the metadata service", "NXDOMAIN", "dns", json!(["rebind.ok.test"]))?;
    t.row("A name that stands for a private address", "NXDOMAIN", "dns", json!(["private.ok.test"]))?;
    t.row("The same, dressed as IPv6", "NXDOMAIN", "dns", json!(["mapped.ok.test", "8.8.8.8", 28]))?;
    t.row("The metadata service behind NAT64", "NXDOMAIN", "dns", json!(["nat64.ok.test", "8.8.8.8", 28]))?;
    t.row("A name that stands for the sandbox itself", "NXDOMAIN", "dns", json!(["loop.ok.test"]))?;
    t.row(
        "A name that stands for a private address among others",
        "NXDOMAIN",
        "dns",
        json!(["both.ok.test"]),
    )?;
    t.row("A name of which the first answer is harmless", "93.184.216.34", "dns", json!(["turn.ok.test"]))?;
    t.row("Its second answer, a private address", "NXDOMAIN", "dns", json!(["turn.ok.test"]))?;
    t.row("An answer larger than UDP carries", "NOERROR, cut short", "dns", json!(["big.ok.test"]))?;
    t.row("It over TCP", "120 addresses", "dns", json!(["big.ok.test", "8.8.8.8", 1, "tcp"]))
}

fn addresses(t: &mut Table<'_>) -> Result<()> {
    t.row("The address of an allowed name", "reached", "tcp", json!(["93.184.216.34", 80]))?;
    t.row("It over IPv6", "reached", "tcp", json!(["2001:db8:1::34", 80]))?;
    t.row("It over UDP", "reached", "udp", json!(["93.184.216.34", 9999]))?;
    t.row("It in fragments", "reached", "udp", json!(["93.184.216.34", 9999, 5000]))?;
    t.row("It by ping", "reached", "ping", json!(["93.184.216.34"]))?;
    t.row("DNS over TLS to it", "refused", "tcp", json!(["93.184.216.34", 853]))?;
    t.row("DNS over QUIC to it", "not permitted", "udp", json!(["93.184.216.34", 853]))?;
    t.row("An address no name led to", "refused", "tcp", json!(["93.184.216.35", 80]))?;
    t.row("It over IPv6", "refused", "tcp", json!(["2001:db8:1::35", 80]))?;
    t.row("It over UDP", "not permitted", "udp", json!(["93.184.216.35", 9999]))?;
    t.row("It in fragments", "not permitted", "udp", json!(["93.184.216.35", 9999, 5000]))?;
    t.row("It in fragments over IPv6", "not permitted", "udp", json!(["2001:db8:1::35", 9999, 5000]))?;
    t.row("It by QUIC", "not permitted", "udp", json!(["93.184.216.35", 443]))?;
    t.row("It by ping", "not permitted", "ping", json!(["93.184.216.35"]))?;
    t.row("It by ping over IPv6", "no answer", "ping", json!(["2001:db8:1::35", 1]))?;
    let (stream, datagram, packets) = (1, 2, 5);
    for (what, kind, protocol) in [
        ("It by UDP-Lite", datagram, 136),
        ("It by SCTP", stream, 132),
        ("It by SCTP's packets", packets, 132),
        ("It by DCCP", 6, 33),
        ("It by Multipath TCP", stream, 262),
    ] {
        t.row(what, "refused", "rare", json!([kind, protocol, "93.184.216.35", 80]))?;
    }
    t.row("It with data in the first packet", "refused", "fast_open", json!(["93.184.216.35", 80]))?;
    t.row("DNS over HTTPS", "refused", "tcp", json!(["9.9.9.9", 443]))?;
    t.row("The metadata service", "refused", "tcp", json!(["169.254.169.254", 80]))?;
    t.row("A private address", "refused", "tcp", json!(["10.9.9.9", 80]))?;
    t.row("The router of the link", "refused", "tcp", json!(["198.51.100.1", 80]))?;
    t.row("It over UDP", "not permitted", "udp", json!(["198.51.100.1", 9999]))?;
    t.row("Names over multicast (mDNS)", "not permitted", "udp", json!(["224.0.0.251", 5353]))?;
    t.row("They over IPv6", "not permitted", "udp", json!(["ff02::fb", 5353]))?;
    t.row("Names over multicast (LLMNR)", "not permitted", "udp", json!(["224.0.0.252", 5355]))?;
    t.row("Services over multicast (SSDP)", "not permitted", "udp", json!(["239.255.255.250", 1900]))?;
    t.row("An address by DHCP", "not permitted", "broadcast", json!([67]))
}

/// What looks like something else on the way.
fn disguises(t: &mut Table<'_>) -> Result<()> {
    let web = "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n";
    t.row("HTTP at port 53", "closed", "speak", json!(["93.184.216.35", 53, web]))?;
    t.row("SSH at port 53", "closed", "speak", json!(["93.184.216.35", 53, "SSH-2.0-x\r\n"]))?;
    t.row("Packets of a VPN to port 53", "NOTIMP", "noise", json!(["93.184.216.35", 53]))?;
    t.row(
        "A packet to an allowed address by way of another one",
        "not permitted",
        "routed",
        json!(["2001:db8:1::35", "2001:db8:1::34", 9999]),
    )?;
    for (what, option) in [("Options for every hop", 54), ("Options for the destination", 59)] {
        t.row(what, "not permitted", "extended", json!([option]))?;
    }
    let forged = json!(["198.51.100.77", "93.184.216.34", 9999]);
    t.row("A neighbour's address as one's own", "not permitted", "forged", forged)?;
    let forged = json!(["2001:db8::77", "2001:db8:1::34", 9999]);
    t.row("It over IPv6", "not permitted", "forged", forged)
}

/// Whoever is at the other end of the link gets no more from the sidecar than whoever is inside.
fn neighbours(t: &mut Table<'_>) -> Result<()> {
    let mut neighbour = t.lab.neighbour()?;
    for (what, expected, attempt, arguments) in [
        ("A neighbour at the API, without its token", "401", "http", json!(["198.51.100.2", "/policy"])),
        (
            "A neighbour's question to the name server",
            "refused",
            "dns",
            json!(["ok.test", "198.51.100.2", 1, "udp", 15353]),
        ),
        ("It over TCP", "refused", "dns", json!(["ok.test", "198.51.100.2", 1, "tcp", 15353])),
        ("It at port 53", "refused", "dns", json!(["ok.test", "198.51.100.2"])),
        ("A neighbour at the proxy's port", "refused", "tcp", json!(["198.51.100.2", 18081])),
    ] {
        let seen = neighbour.tries(attempt, arguments)?;
        // What leaves is the answer to it, so that is not counted.
        t.section.row(what, expected, &seen)?;
    }
    Ok(())
}

fn powers(t: &mut Table<'_>) -> Result<()> {
    for (what, kind) in [
        ("A raw socket", "raw"),
        ("A raw socket of IPv6", "raw6"),
        ("A raw socket for tunnels (GRE)", "gre"),
        ("A raw socket for ICMP", "icmp"),
        ("A packet socket", "packet"),
        ("The sidecar's mark", "mark"),
        ("A foreign source address", "transparent"),
    ] {
        t.row(what, "not permitted", "sockets", json!([kind]))?;
    }
    let delete = ["nft", "delete", "table", "inet", "opensandbox"];
    t.row("Delete the rules", "not permitted", "run", json!([delete]))?;
    t.row("The API without its token", "401", "http", json!(["127.0.0.1", "/policy"]))
}

/// The kernel remembers for a while what the sidecar asked its own name server, and from where.
fn spray(t: &mut Table<'_>) -> Result<()> {
    assert_eq!(t.intruder.tries("spray", json!(["sprayed.test", RESOLVER, 50]))?, "sent");
    t.lab.settle(RESOLVER)?;
    let out = t.lab.questions()?.iter().filter(|question| question.contains("sprayed.test")).count();
    let what = "A denied name, asked of the sidecar's own server from each of its ports";
    t.section.row(what, "0 got out", &format!("{out} got out"))
}

fn floods(t: &mut Table<'_>) -> Result<()> {
    t.row("An allowed name after 20,000 questions at once", "93.184.216.34", "flood", json!([20000]))?;
    assert_eq!(t.intruder.tries("silent", json!([300, "8.8.8.8", 53]))?, "open");
    t.row(
        "An allowed name beside 300 connections to port 53 that say nothing",
        "93.184.216.34",
        "dns",
        json!(["www.ok.test"]),
    )?;
    t.row("The API after 400 connections that say nothing", "200", "crowd", json!([400]))
}

/// Where `api.test`, to which a secret is bound, and `other.test` are allowed and `denied.test`, at the same address, is not.
struct Disguises {
    world: World,
    client: Intruder,
    section: Section,
}

/// The address of them all.
const WEB: &str = "203.0.113.10";

impl Disguises {
    /// What comes of one connection made by hand.
    fn tries(&mut self, mut how: Value) -> Result<String> {
        how["address"] = json!(WEB);
        self.client.tries_with("attempt", json!([]), how)
    }

    fn row(&mut self, what: &str, expected: &str, how: Value) -> Result<()> {
        let told = self.tries(how)?;
        self.tell(what, expected, &told)
    }

    fn tell(&mut self, what: &str, expected: &str, told: &str) -> Result<()> {
        let seen = format!("{told}, {}", arrived(&self.world.web.take(), SECRET));
        self.section.row(what, expected, &seen)
    }

    /// What is said in TLS that was opened for this name.
    fn https(&self, name: Option<&str>, words: &str) -> Value {
        let authority = self.world.file("ca-cert.pem");
        json!({"port": 443, "name": name, "authority": authority, "send": words})
    }

    /// Requests of HTTP/2 on one connection for this name.
    fn http2(&self, name: &str, streams: Value) -> Value {
        let authority = self.world.file("ca-cert.pem");
        json!({"port": 443, "name": name, "authority": authority, "streams": streams})
    }
}

fn get(host: &str) -> String {
    format!("GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn plain(words: &str, count: usize) -> Value {
    json!({"port": 80, "send": words, "count": count})
}

/// A request of HTTP/2, with headers in place of its usual ones.
fn stream(authority: &str, more: &[[&str; 2]]) -> Value {
    let is_tunnel = more.contains(&[":method", "CONNECT"]);
    let usual = [[":method", "GET"], [":scheme", "https"], [":path", "/echo"], [":authority", authority]];
    let usual = usual.into_iter().filter(|[name, value]| match *name {
        ":authority" => !value.is_empty(),
        _ => !is_tunnel,
    });
    let (mut headers, others): (Vec<_>, Vec<_>) = more.iter().partition(|[name, _]| name.starts_with(':'));
    headers.extend(usual);
    headers.extend(others);
    json!(headers)
}

#[test]
fn requests_in_disguise_are_refused() -> Result<()> {
    let rules = ["api.test", "other.test"].map(|name| json!({"action": "allow", "target": name}));
    let rules = json!({"defaultAction": "deny", "egress": rules}).to_string();
    let world = World::new(&[("OPENSANDBOX_EGRESS_RULES", &rules)])?;
    world.bind(json!({"type": "bearer", "credential": "key"}), json!({"hosts": ["api.test"]}))?;
    // The address passes while a name stands for it.
    world.fetch(&["-o", "/dev/null", "https://other.test/"])?;
    world.web.take();
    let mut t = Disguises {
        client: Intruder::start(&world.inside, "disguises.py")?,
        world,
        section: Section::new("Disguises"),
    };
    in_tls(&mut t)?;
    in_heads(&mut t)?;
    in_clear_text(&mut t)?;
    in_streams(&mut t)?;
    t.section.finish()
}

fn in_tls(t: &mut Disguises) -> Result<()> {
    let to = |t: &Disguises, name: &str, host: &str| t.https(Some(name), &get(host));
    t.row("The bound host", "200, with it", to(t, "api.test", "api.test"))?;
    t.row("It in capitals", "200, with it", to(t, "API.TEST", "API.Test"))?;
    t.row("It with a dot at its end", "200, with it", to(t, "api.test.", "api.test."))?;
    let mut pieces = to(t, "api.test", "api.test");
    pieces["pieces"] = json!(7);
    t.row("Its name in pieces, each in a record of its own", "200, with it", pieces)?;
    t.row("A denied host", "closed, nothing arrived", to(t, "denied.test", "denied.test"))?;
    t.row("It in capitals", "closed, nothing arrived", to(t, "DENIED.TEST", "api.test"))?;
    t.row("It with a dot at its end", "closed, nothing arrived", to(t, "denied.test.", "api.test"))?;
    let mut pieces = to(t, "denied.test", "api.test");
    pieces["pieces"] = json!(7);
    t.row("Its name in pieces, each in a record of its own", "closed, nothing arrived", pieces)?;
    t.row("No name", "closed, nothing arrived", t.https(None, &get("api.test")))?;
    let told = openssl(&t.world, &["-servername", WEB])?;
    t.tell("The address as the name", "closed, nothing arrived", &told)?;
    let hidden = |name: &str| json!({"port": 443, "name": name, "ech": true});
    let shown = "answered for the name that shows, nothing arrived";
    t.row("A hidden name (ECH) beside that of an allowed host", shown, hidden("other.test"))?;
    t.row("It beside that of a denied host", "closed, nothing arrived", hidden("denied.test"))?;
    let mut crowd = to(t, "api.test", "api.test");
    crowd["crowd"] = json!(400);
    t.row("The bound host beside 400 connections that say nothing", "200, with it", crowd)?;
    let text = json!({"port": 443, "send": "SSH-2.0-x\r\n"});
    t.row("Neither TLS nor HTTP", "closed, nothing arrived", text)
}

/// The status of the answer to a request for the bound host.
fn openssl(world: &World, arguments: &[&str]) -> Result<String> {
    let mut client = world.inside.command("openssl");
    client.args(["s_client", "-quiet", "-verify_quiet", "-connect", &format!("{WEB}:443")]).args(arguments);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = client.spawn()?;
    let mut input = client.stdin.take().context("an input")?;
    // One that is refused may be gone already.
    let _ = input.write_all(get("api.test").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes());
    let output = client.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split(' ').nth(1).filter(|_| text.starts_with("HTTP/")).unwrap_or("closed").to_owned())
}

fn in_heads(t: &mut Disguises) -> Result<()> {
    for (what, expected, words) in [
        ("Its host with the port", "200, with it", get("api.test:443")),
        ("Its host twice", "400, nothing arrived", get("api.test\r\nHost: api.test")),
        ("Another host behind it", "400, nothing arrived", get("api.test\r\nHost: other.test")),
        ("Another host behind a name as the user's", "400, nothing arrived", get("api.test@other.test")),
        ("Another host on a folded line", "400, nothing arrived", get("api.test\r\n other.test")),
        ("A blank before the colon", "400, nothing arrived", get("api.test\r\nHost : other.test")),
        ("No host", "400, nothing arrived", "GET /echo HTTP/1.1\r\n\r\n".to_owned()),
        ("No host in HTTP/1.0", "400, nothing arrived", "GET /echo HTTP/1.0\r\n\r\n".to_owned()),
        (
            "Another host in the request's own line",
            "421, nothing arrived",
            "GET https://other.test/echo HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(),
        ),
        (
            "Its host in the request's own line, another one below",
            "421, nothing arrived",
            "GET https://api.test/echo HTTP/1.1\r\nHost: other.test\r\n\r\n".to_owned(),
        ),
        (
            "A tunnel to another host",
            "421, nothing arrived",
            "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n".to_owned(),
        ),
    ] {
        t.row(what, expected, t.https(Some("api.test"), &words))?;
    }
    let mut two = t.https(Some("api.test"), &(get("api.test") + &get("denied.test")));
    two["count"] = json!(2);
    t.row("A denied host in the second request", "200 421, with it", two)?;
    for (what, to) in [
        ("A change to HTTP/2 in clear text", "h2c"),
        ("It behind another offer", "websocket, h2c"),
        ("A change to TLS", "TLS/1.2"),
    ] {
        let more = "Connection: upgrade, http2-settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAA";
        let words = get(&format!("api.test\r\nUpgrade: {to}\r\n{more}"));
        let how = t.https(Some("api.test"), &words);
        let told = t.tries(how)?;
        let received = t.world.web.only()?;
        let passed = if received.header("upgrade").is_some() { "passed on" } else { "not passed on" };
        t.section.row(what, "200, not passed on", &format!("{told}, {passed}"))?;
    }
    Ok(())
}

fn in_clear_text(t: &mut Disguises) -> Result<()> {
    t.row("An allowed host without TLS", "200, without it", plain(&get("other.test"), 1))?;
    t.row("A denied host without TLS", "403, nothing arrived", plain(&get("denied.test"), 1))?;
    let two = get("other.test") + &get("denied.test");
    t.row("It in the second request", "200 403, without it", plain(&two, 2))?;
    let line = "GET http://denied.test/echo HTTP/1.1\r\nHost: other.test\r\n\r\n";
    t.row("It in the request's own line", "421, nothing arrived", plain(line, 1))?;
    t.row(
        "The metadata service's address as the host",
        "421, nothing arrived",
        plain(&get("169.254.169.254"), 1),
    )?;
    let streams = json!([stream("other.test", &[]), stream("denied.test", &[])]);
    let how = json!({"port": 80, "streams": streams});
    t.row("An allowed and a denied host on one connection of HTTP/2", "200 403, without it", how)
}

fn in_streams(t: &mut Disguises) -> Result<()> {
    let three = ["api.test", "other.test", "denied.test"].map(|host| stream(host, &[]));
    let three = t.http2("api.test", json!(three));
    t.row("Three hosts on one connection of HTTP/2", "200 421 421, with it", three)?;
    for (what, expected, authority, more) in [
        ("Another host in a header", "421, nothing arrived", "api.test", &[["host", "other.test"]][..]),
        ("The bound one in a header", "421, nothing arrived", "other.test", &[["host", "api.test"]]),
        ("The host in a header only", "200, with it", "", &[["host", "api.test"]]),
        ("No host at all", "400, nothing arrived", "", &[]),
        ("Two authorities", "reset, nothing arrived", "api.test", &[[":authority", "other.test"]]),
        ("A tunnel", "405, nothing arrived", "api.test", &[[":method", "CONNECT"]]),
        (
            "A tunnel for a WebSocket",
            "reset, nothing arrived",
            "api.test",
            &[[":method", "CONNECT"], [":protocol", "websocket"]],
        ),
    ] {
        let one = t.http2("api.test", json!([stream(authority, more)]));
        t.row(what, expected, one)?;
    }
    Ok(())
}
