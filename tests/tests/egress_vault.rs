//! Secrets that are lent to a sandbox, and what its root user tries to get them, or to get them sent elsewhere.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use sandkeep_tests::{
    api::{Sandbox, eventually},
    attempts::{Section, arrived},
    execd::Execd,
    guarded::{Guarded, IMPOSTOR, WEB, make_vault, proxied, sidecar},
    outside::{Lab, TOKEN},
    server::Setup,
    traces,
    web::{Received, TestAuthority, Web},
};
use serde_json::{Value, json};

const SECRET: &str = "s3cret-AbCdEfGhIjKlMnOp";
const HOSTS: [&str; 4] = ["api.test", "other.test", "bad.test", "past.test"];
/// Whatever is waited for on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn bindings() -> Value {
    json!([{
        "name": "the-binding",
        "match": {"hosts": ["api.test"], "methods": ["GET"], "paths": ["/own/*", "/echo", "/split", "/trailers", "/redirect"]},
        "auth": {"type": "bearer", "credential": "key"},
    }])
}

/// A sandbox with a secret to use, and the section its attempts go to.
struct Attempts<'a> {
    world: &'a Guarded,
    execd: Execd,
    section: Section,
}

impl Attempts<'_> {
    /// What a shell in the sandbox prints, and what then arrived outside.
    async fn tries(&self, script: &str) -> Result<(String, Vec<Received>)> {
        self.world.web.take();
        let printed = self.execd.run(script).await?.stdout.trim().to_owned();
        Ok((printed, self.world.web.take()))
    }

    /// A request with curl: its status, and how it arrived.
    async fn request(&mut self, what: &str, expected: &str, arguments: &str) -> Result<()> {
        let curl = format!("curl -s --max-time 60 -o /dev/null -w '%{{http_code}}' {arguments}");
        let (status, received) = self.tries(&curl).await?;
        self.section.row(what, expected, &format!("{status}, {}", arrived(&received, SECRET)))
    }

    /// A script, of which what it prints is the result.
    async fn script(&mut self, what: &str, expected: &str, script: &str) -> Result<()> {
        let (printed, _) = self.tries(script).await?;
        self.section.row(what, expected, &printed)
    }
}

#[test]
fn a_secret_goes_where_it_belongs_and_nowhere_else() -> Result<()> {
    let world = Guarded::start(Setup::default(), None)?;
    world.run(async |api| {
        let sandbox = api.create(proxied(&HOSTS)).await?;
        let execd = sandbox.execd().await?;
        make_vault(&sandbox, &[("key", SECRET)], bindings()).await?;
        let mut t = Attempts { world: &world, execd, section: Section::new("Secrets") };
        scopes(&mut t).await?;
        disguises(&mut t).await?;
        answers(&mut t).await?;
        reach(&mut t, &sandbox).await?;

        // Another sandbox's authority is another one.
        let authority = "cat /opt/opensandbox/mitmproxy-ca-cert.pem";
        let other = api.create(proxied(&HOSTS)).await?;
        let (own, others) = (t.execd.output(authority).await?, other.execd().await?.output(authority).await?);
        let compared = if own == others { "the same" } else { "another one" };
        t.section.row("The authority of another sandbox", "another one", compared)?;
        let believed = format!(
            "cat >/tmp/other.pem <<'END'\n{others}\nEND\n\
            curl -s --max-time 60 --cacert /tmp/other.pem -o /dev/null https://api.test/; test $? = 60 && echo not believed"
        );
        t.script("It, for one's own connections", "not believed", &believed).await?;
        neighbour(&mut t, &sandbox, &other).await?;

        let changed = sidecar(&sandbox, "DELETE", "/credential-vault", None).await?;
        assert_eq!(changed.status, 204);
        t.request("A request after the vault is deleted", "200, without it", "https://api.test/echo").await?;
        t.section.finish()
    })
}

async fn scopes(t: &mut Attempts<'_>) -> Result<()> {
    t.request("A request the secret is bound to", "200, with it", "https://api.test/echo").await?;
    t.request("It over HTTP/1.1", "200, with it", "--http1.1 https://api.test/echo").await?;
    t.request(
        "It with an authorization of one's own",
        "200, with it",
        "-H 'Authorization: Bearer own' https://api.test/echo",
    )
    .await?;
    t.request("Another method", "200, without it", "-X POST https://api.test/echo").await?;
    t.request("TRACE", "200, without it", "-X TRACE https://api.test/echo").await?;
    t.request("Another path", "200, without it", "https://api.test/echoes").await?;
    t.request("A path that climbs out", "200, without it", "--path-as-is https://api.test/own/../x").await?;
    t.request("It in disguise", "200, without it", "--path-as-is https://api.test/own/%2e%2e%2fx").await?;
    t.request("Another allowed host", "200, without it", "https://other.test/echo").await?;
    t.request("Its host without TLS", "200, without it", "http://api.test/echo").await?;
    t.request(
        "A redirect to another host, followed",
        "200, with it, then without it",
        "-L https://api.test/redirect",
    )
    .await?;
    t.request(
        "A redirect, followed with a header of one's own",
        "200, with it, then without it",
        "-L --location-trusted -H 'Authorization: own' https://api.test/redirect",
    )
    .await
}

async fn disguises(t: &mut Attempts<'_>) -> Result<()> {
    // Addresses pass while a name stands for them.
    for host in ["bad.test", "past.test"] {
        t.tries(&format!("curl -s --max-time 60 https://{host}/")).await?;
    }
    t.request(
        "One host in TLS, the bound one in the request",
        "421, nothing arrived",
        "-H 'Host: api.test' https://other.test/echo",
    )
    .await?;
    t.request(
        "The bound host in TLS, another one in the request",
        "421, nothing arrived",
        "-H 'Host: other.test' https://api.test/echo",
    )
    .await?;
    t.request(
        "It in the request's own line",
        "421, nothing arrived",
        "--http1.1 --request-target https://api.test/echo https://other.test/echo",
    )
    .await?;
    t.request(
        "Another port in the request",
        "421, nothing arrived",
        "-H 'Host: api.test:444' https://api.test/echo",
    )
    .await?;
    t.request(
        "The bound name at another server's address",
        "502, nothing arrived",
        &format!("--connect-to api.test:443:{IMPOSTOR}:443 https://api.test/echo"),
    )
    .await?;
    t.request(
        "The bound name at its address, for another host in /etc/hosts",
        "421, nothing arrived",
        &format!("--resolve other.test:443:{WEB} -H 'Host: api.test' https://other.test/echo"),
    )
    .await?;
    t.request(
        "Its address without a name",
        "000, nothing arrived",
        &format!("-k -H 'Host: api.test' https://{WEB}/echo"),
    )
    .await?;
    t.request(
        "A denied name at its address",
        "000, nothing arrived",
        &format!("-k --connect-to denied.test:443:{WEB}:443 https://denied.test/echo"),
    )
    .await?;
    t.request("A certificate of nobody's", "502, nothing arrived", "-k https://bad.test/").await?;
    t.request("A certificate whose time is over", "502, nothing arrived", "-k https://past.test/").await?;
    t.request(
        "A tunnel through the proxy",
        "405, nothing arrived",
        "--http1.1 -X CONNECT --request-target api.test:443 https://api.test/",
    )
    .await?;
    let raw = |request: &str| format!("python3 -c \"{RAW}\" '{request}'");
    t.script(
        "Two hosts in one request",
        "400",
        &raw(r"GET /echo HTTP/1.1\r\nHost: api.test\r\nHost: other.test\r\n\r\n"),
    )
    .await?;
    let hidden = r"GET /own/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 41\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /own/b HTTP/1.1\r\nHost: other.test\r\n\r\n";
    let (_, received) = t.tries(&raw(hidden)).await?;
    let targets: Vec<&str> = received.iter().map(|request| request.target.as_str()).collect();
    let seen = if targets.contains(&"/own/b") { "it arrived" } else { "it did not arrive" };
    t.section.row("A request for another host hidden in the body of one", "it did not arrive", seen)?;
    t.request(
        "A path with a line end in it",
        "200, without it",
        "--path-as-is 'https://api.test/x%0d%0aAuthorization:%20own'",
    )
    .await
}

/// Sends its argument to the bound host as it is, prints the status of the answer.
const RAW: &str = "
import socket, ssl, sys
plain = socket.create_connection(('api.test', 443), timeout=60)
stream = ssl.create_default_context().wrap_socket(plain, server_hostname='api.test')
stream.sendall(sys.argv[1].encode().decode('unicode_escape').encode())
print(stream.recv(65536).decode('latin-1').split(' ')[1])
";

async fn answers(t: &mut Attempts<'_>) -> Result<()> {
    let all = SECRET.len();
    let body = |path: &str| {
        format!("curl -s --max-time 60 https://api.test{path} | sed 's/[*]\\{{{all}\\}}/(masked)/'")
    };
    t.script("The body of an answer that repeats it", "you sent Bearer (masked).", &body("/echo")).await?;
    t.script("It in two pieces", "a Bearer (masked) b", &body("/split")).await?;
    let headers = "curl -s --max-time 60 -D - -o /dev/null https://api.test";
    t.script(
        "A header that repeats it",
        "Bearer [REDACTED]",
        &format!("{headers}/echo | tr -d '\\r' | sed -n 's/^x-echo: //p'"),
    )
    .await?;
    t.script(
        "A trailer that repeats it",
        "Bearer [REDACTED]",
        &format!("{headers}/trailers | tr -d '\\r' | sed -n 's/^x-status: //p'"),
    )
    .await?;
    t.script(
        "A redirect that repeats it",
        "https://other.test/stolen?Bearer+[REDACTED]",
        &format!("{headers}/redirect | tr -d '\\r' | sed -n 's/^location: //p'"),
    )
    .await
}

/// Looks for the secret, and for whoever has it, from within.
async fn reach(t: &mut Attempts<'_>, sandbox: &Sandbox) -> Result<()> {
    let status =
        |arguments: &str| format!("curl -s --max-time 60 -o /dev/null -w '%{{http_code}}' {arguments}; true");
    let api = "http://127.0.0.1:18080";
    t.script("The vault without the token", "401", &status(&format!("{api}/credential-vault"))).await?;
    t.script(
        "The vault with a guessed token",
        "401",
        &status(&format!("-H 'OPENSANDBOX-EGRESS-AUTH: guess' {api}/credential-vault")),
    )
    .await?;
    t.script("What the vault has in force", "403", &status(&format!("{api}/credential-vault/_active")))
        .await?;
    t.script("The audit log", "401", &status(&format!("{api}/audit"))).await?;
    t.script("The proxy's own port", "000", &status("http://127.0.0.1:18081/")).await?;
    t.script(
        "The vault's own socket",
        "not there",
        "find / -xdev -name 'active.sock*' 2>/dev/null | grep . || grep '@.*active' /proc/net/unix || echo not there",
    )
    .await?;
    t.script(
        "The key of the authority",
        "not there",
        "grep -rlE 'PRIVATE[ ]KEY' /etc /opt /root /run /srv /tmp /var 2>/dev/null || echo not there",
    )
    .await?;
    t.script(
        "The sidecar's process",
        "not there",
        "grep -l egress-[s]idecar /proc/[0-9]*/comm /proc/[0-9]*/cmdline 2>/dev/null || echo not there",
    )
    .await?;
    // The end only, so that the search is not what is found.
    let end = &SECRET[4..];
    let look = format!(
        "(grep -rlF {end} /etc /opt /root /run /srv /tmp /var; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -F {end}) \
         2>/dev/null | grep . || echo not there"
    );
    t.script("Environments and files of the sandbox", "not there", &look).await?;
    let quic = format!("{TRY}\ntry: s.connect(('{WEB}', 443)); s.send(b'x'); s.recv(9)");
    t.script("QUIC to the bound host", "not permitted", &python(&quic)).await?;
    let dhcp = format!("{TRY}\ntry: s.bind(('', 68)); s.sendto(b'x' * 300, ('255.255.255.255', 67))");
    t.script("An address by DHCP", "not permitted", &python(&dhcp)).await?;
    let server = t.world.server.address().port();
    let visit = format!("{ROUTER}\nprint(socket.socket().connect_ex((router, {server})))");
    t.script("The server, at its end of the sandbox's link", "111", &python(&visit)).await?;
    t.script(
        "IPv6",
        "unreachable",
        "curl -s --max-time 60 -o /dev/null 'https://[2001:db8::1]/' || echo unreachable",
    )
    .await?;
    // A program that has used the secret and still has what it heard.
    let user = "import time, urllib.request as r; a = r.urlopen('https://api.test/echo').read(); open('/srv/heard', 'w').close(); time.sleep(600)";
    let started = json!({"command": format!("python3 -c \"{user}\""), "background": true});
    t.execd.stream("/command", &started).await?.finish().await?;
    eventually("a program has used the secret", PATIENCE, async || {
        Ok(t.execd.run("test -e /srv/heard").await?.exit_code == 0)
    })
    .await?;
    let mask = format!("you sent Bearer {}", "*".repeat(SECRET.len()));
    let masks = traces::in_sandbox(&sandbox.id, &mask)?;
    ensure!(masks > 0, "the search finds nothing, so it proves nothing");
    let found = traces::in_sandbox(&sandbox.id, SECRET)?;
    t.section.row("The memory of the sandbox's processes", "0 times", &format!("{found} times"))
}

/// Tries what the next line says.
const TRY: &str = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.settimeout(60)";

/// Finds the other end of the sandbox's link.
const ROUTER: &str = "import socket
routes = [line.split() for line in open('/proc/net/route')]
router = next(socket.inet_ntoa(bytes.fromhex(route[2])[::-1]) for route in routes if route[1] == '00000000')";

/// A program that ends with a refusal says so.
fn python(program: &str) -> String {
    let program = match program.contains("try:") {
        true => format!("{program}\nexcept PermissionError: print('not permitted')\nelse: print('sent')"),
        false => program.to_owned(),
    };
    format!("python3 - <<'END'\n{program}\nEND\n")
}

/// What another sandbox gets from this one's sidecar.
async fn neighbour(t: &mut Attempts<'_>, sandbox: &Sandbox, other: &Sandbox) -> Result<()> {
    let (address, _) = sandbox.endpoint(18080, false).await?;
    let host = address.split(':').next().context("an address")?;
    let own = std::mem::replace(&mut t.execd, other.execd().await?);
    for (what, port) in [
        ("Another sandbox at the sidecar's API", 18080),
        ("It at the name server", 15353),
        ("It at the proxy", 18081),
    ] {
        let visit = format!(
            "curl -s --max-time 60 -o /dev/null -w '%{{http_code}}' http://{host}:{port}/policy; true"
        );
        t.script(what, "000", &visit).await?;
    }
    t.execd = own;
    Ok(())
}

/// The sidecar alone, as sandboxes have no IPv6.
#[test]
fn connections_over_ipv6_are_read_as_well() -> Result<()> {
    let lab = Lab::new()?;
    let authority = TestAuthority::new("Test")?;
    fs::write(lab.dir().join("outside.pem"), &authority.pem)?;
    let address = "2001:db8:1::44";
    let listen = vec![
        (format!("[{address}]:443").parse()?, Some(authority.server(&["six.ok.test", address])?)),
        (format!("[{address}]:80").parse()?, None),
    ];
    let web = Web::start(&lab.outside, listen)?;
    let rules = r#"{"defaultAction":"deny","egress":[{"action":"allow","target":"six.ok.test"}]}"#;
    let _sidecar = lab.sidecar(&[
        ("RULES", rules),
        ("MITMPROXY_TRANSPARENT", "true"),
        ("MITMPROXY_UPSTREAM_EXTRA_CA", "outside.pem"),
        ("CA_FILE", "ca.pem"),
    ])?;
    let vault = json!({
        "credentials": [{"name": "key", "source": {"value": SECRET}}],
        "bindings": [{
            "name": "six",
            "match": {"hosts": ["six.ok.test"]},
            "auth": {"type": "bearer", "credential": "key"},
        }],
    });
    let (status, text) = lab.call("POST", "/credential-vault", Some(&vault.to_string()))?;
    ensure!(status == 201, "{status} {text}");
    let mut section = Section::new("Secrets over IPv6");
    let mut request = |what: &str, expected: &str, arguments: &[&str]| -> Result<()> {
        let mut curl = lab.inside.command("curl");
        curl.args(["-6", "-s", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]);
        let output = curl.arg(lab.dir().join("ca.pem")).args(arguments).output()?;
        let status = String::from_utf8(output.stdout)?;
        section.row(what, expected, &format!("{status}, {}", arrived(&web.take(), SECRET)))
    };
    request("A request the secret is bound to", "200, with it", &["https://six.ok.test/echo"])?;
    request("It over HTTP/1.1", "200, with it", &["--http1.1", "https://six.ok.test/echo"])?;
    request("Its host without TLS", "200, without it", &["http://six.ok.test/echo"])?;
    request(
        "The bound host in TLS, another one in the request",
        "421, nothing arrived",
        &["-H", "Host: other.test", "https://six.ok.test/echo"],
    )?;
    let denied = format!("denied.test:443:[{address}]:443");
    request(
        "A denied name at its address",
        "000, nothing arrived",
        &["-k", "--connect-to", &denied, "https://denied.test/"],
    )?;
    request(
        "Its address without a name",
        "000, nothing arrived",
        &["-k", &format!("https://[{address}]/echo")],
    )?;
    section.finish()
}

/// Over TLS, whose certificates are checked against the authorities the sidecar is told of.
#[test]
fn refusals_are_told_over_tls_to_whom_can_prove_who_he_is() -> Result<()> {
    let lab = Lab::new()?;
    let (authority, stranger) = (TestAuthority::new("Test")?, TestAuthority::new("Stranger")?);
    fs::write(lab.dir().join("outside.pem"), &authority.pem)?;
    let hook = |port: u16, by: &TestAuthority| {
        let address = format!("93.184.216.34:{port}").parse()?;
        Web::start(&lab.outside, vec![(address, Some(by.server(&["ok.test"])?))])
    };
    let (believed, unknown) = (hook(8444, &authority)?, hook(8445, &stranger)?);
    let rules = r#"{"defaultAction":"deny"}"#;
    let settings = |port: u16| format!("https://ok.test:{port}/denied?a=1");
    let start = |url: &str| {
        lab.sidecar(&[
            ("RULES", rules),
            ("DENY_WEBHOOK", url),
            ("MITMPROXY_UPSTREAM_EXTRA_CA", "outside.pem"),
            ("SANDBOX_ID", "one"),
        ])
    };
    let sidecar = start(&settings(8445))?;
    assert_eq!(lab.intruder()?.tries("dns", json!(["other.test"]))?, "NXDOMAIN");
    wait("a stranger is refused", || Ok(lab.log().contains("the deny web hook fails")))?;
    ensure!(unknown.take().is_empty(), "a refusal is told to a stranger");
    sidecar.kill()?;

    let _sidecar = start(&settings(8444))?;
    assert_eq!(lab.intruder()?.tries("dns", json!(["other.test"]))?, "NXDOMAIN");
    let mut heard = Vec::new();
    wait("a refusal is told", || {
        heard.extend(believed.take());
        Ok(!heard.is_empty())
    })?;
    let told = heard.first().context("a call")?;
    let body: Value = serde_json::from_slice(&told.body)?;
    assert_eq!((told.method.as_str(), told.target.as_str()), ("POST", "/denied?a=1"));
    assert_eq!((&body["hostname"], &body["sandboxId"]), (&json!("other.test"), &json!("one")));
    ensure!(!format!("{told:?}").contains(TOKEN), "the hook is told the token");
    Ok(())
}

fn wait(what: &str, mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    let since = std::time::Instant::now();
    while !check()? {
        if since.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
