//! Isolated sessions, driven over HTTP as a client would. They need the rights that root has.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use sandkeep_specs::execd::event::EventKind;
use serde_json::{Value, json};
use support::{Execd, PATIENCE, Run};

/// A daemon with a workspace beside it.
struct Place {
    execd: Execd,
    work: PathBuf,
}

impl Place {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(variables: &[(&str, &str)]) -> Self {
        let execd = Execd::start_with(|command, home| {
            command.env("EXECD_ISOLATION_UPPER_ROOT", home.join("iso"));
            command.envs(variables.iter().copied());
        })
        .await;
        let home = execd.home.path().canonicalize().unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
        let work = home.join("work");
        fs::create_dir_all(work.join("sub")).unwrap();
        fs::write(work.join("old"), "old\n").unwrap();
        fs::write(work.join("sub/deep"), "deep\n").unwrap();
        Self { execd, work }
    }

    fn workspace(&self, mode: &str) -> Value {
        json!({ "workspace": { "path": self.work, "mode": mode } })
    }

    async fn create(&self, body: &Value) -> Session<'_> {
        let (status, answer) = self.execd.call(Method::POST, "/v1/isolated/session", body.to_string()).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let id: Value = serde_json::from_str(&answer).unwrap();
        Session { place: self, path: format!("/v1/isolated/session/{}", id["session_id"].as_str().unwrap()) }
    }

    async fn refused(&self, body: &Value) -> String {
        let (status, answer) = self.execd.call(Method::POST, "/v1/isolated/session", body.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        answer
    }
}

struct Session<'a> {
    place: &'a Place,
    path: String,
}

impl Session<'_> {
    async fn call(&self, method: Method, path: &str, body: impl Into<bytes::Bytes>) -> (StatusCode, String) {
        self.place.execd.call(method, &format!("{}{path}", self.path), body).await
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.call(Method::GET, path, "").await
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn begin(&self, body: Value) -> Run {
        self.place.execd.begin_at(&format!("{}/run", self.path), body).await
    }

    async fn run(&self, code: &str) -> Run {
        let mut run = self.begin(json!({ "code": code })).await;
        while run.next().await.is_some() {}
        run
    }

    /// What a run prints that must succeed.
    async fn output(&self, code: &str) -> String {
        let run = self.run(code).await;
        assert_eq!(run.exit_code(), 0, "{code}: {}{}", run.stdout(), run.stderr());
        run.stdout()
    }

    async fn delete(self) {
        let (status, body) = self.call(Method::DELETE, "", "").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(self.get("").await.0, StatusCode::NOT_FOUND);
    }

    /// The archive of changes: names with what is in the files.
    async fn diff(&self) -> Vec<(String, String)> {
        let request = self.place.execd.request(Method::GET, &format!("{}/diff", self.path), "");
        let response = self.place.execd.send(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let bytes = response.collect().await.unwrap().to_bytes();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        found.sort();
        found
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn capabilities_name_every_wall() {
    let place = Place::start().await;
    let (status, body) = place.execd.get("/v1/isolated/capabilities").await;
    assert_eq!(status, StatusCode::OK);
    let found: Value = serde_json::from_str(&body).unwrap();
    for member in ["available", "setpriv_available", "userns_available", "commit_supported", "diff_supported"]
    {
        assert_eq!(found[member], true, "{member}: {body}");
    }
    for layer in ["cap_drop", "seccomp", "landlock"] {
        assert_eq!(found["hardening"][layer]["state"], "active", "{layer}: {body}");
    }
    assert_eq!(found["hardening"]["init_mode"], "pid1");
}

#[tokio::test]
async fn a_machine_that_cannot_isolate_says_why() {
    let place = Place::start_with(&[("EXECD_ISOLATION_UPPER_ROOT", "/proc/none")]).await;
    let found = place.execd.get("/v1/isolated/capabilities").await.1;
    assert!(found.contains("\"available\":false") && found.contains("directory for sessions"), "{found}");
    for (method, path) in [
        (Method::POST, "/v1/isolated/session"),
        (Method::GET, "/v1/isolated/sessions"),
        (Method::GET, "/v1/isolated/session/7b3f2f4e-0000-4000-8000-000000000000"),
        (Method::GET, "/v1/isolated/session/7b3f2f4e-0000-4000-8000-000000000000/diff"),
    ] {
        let (status, body) = place.execd.call(method, path, place.workspace("rw").to_string()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {body}");
        assert!(body.contains("NOT_SUPPORTED") && body.contains("directory for sessions"), "{body}");
    }
}

#[tokio::test]
async fn changes_stay_inside_until_they_are_committed() {
    let place = Place::start().await;
    let session = place.create(&place.workspace("overlay")).await;
    let said = session
        .output("pwd; cat old; echo new > new; echo more >> old; rm -r sub; mkdir sub; echo x > sub/y")
        .await;
    assert_eq!(said, format!("{}\nold\n", place.work.display()));
    assert_eq!(session.output("cat old new sub/y; ls sub").await, "old\nmore\nnew\nx\ny\n");
    assert_eq!(read(&place.work.join("old")), "old\n");
    assert!(!place.work.join("new").exists() && place.work.join("sub/deep").exists());

    session.output("rm old; ln -s /etc/passwd link").await;
    let diff = session.diff().await;
    let names: Vec<_> = diff.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [".wh.old", "link", "new", "sub", "sub/.wh..wh..opq", "sub/y"]);
    assert_eq!(diff[2].1, "new\n");

    let (status, done) = session.call(Method::POST, "/commit", "").await;
    assert_eq!((status, done.as_str()), (StatusCode::OK, r#"{"written":4,"removed":2}"#));
    assert!(!place.work.join("old").exists() && !place.work.join("sub/deep").exists());
    assert_eq!(read(&place.work.join("new")), "new\n");
    assert_eq!(read(&place.work.join("sub/y")), "x\n");
    assert_eq!(fs::read_link(place.work.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(session.output("ls").await, "link\nnew\nsub\n");
    session.delete().await;
}

#[tokio::test]
async fn the_walls_hold() {
    let place = Place::start().await;
    let secret = place.execd.home.path().join("elsewhere");
    let session = place.create(&place.workspace("overlay")).await;
    let tries = format!(
        "exec 2>/dev/null
        touch {}
        touch /etc/x && echo wrote /etc
        mount -t tmpfs none /tmp && echo mounted
        unshare -U true && echo unshared
        chroot / true && echo chrooted
        [ -e {}/*/lock ] && echo sees state
        kill -9 1 && kill -0 1 || echo lost init
        grep -q 0000000000000000 <(grep CapInh /proc/self/status) || echo inheritable
        true",
        secret.display(),
        place.execd.home.path().join("iso").display(),
    );
    assert_eq!(session.output(&tries).await, "");
    assert!(!secret.exists(), "only the session's own /tmp is written to");
    assert_eq!(session.output("grep CapBnd /proc/self/status").await, "CapBnd:\t00000000000004fb\n");
    assert_eq!(
        session.output("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status").await,
        "NoNewPrivs:\t1\nSeccomp:\t2\n"
    );
    let processes = session.output("ls -d /proc/[0-9]* | wc -l").await;
    assert!(processes.trim().parse::<u32>().unwrap() < 8, "its own processes only: {processes}");
    assert_eq!(session.output("echo > /dev/null; [ -c /dev/zero ] && echo zero; echo > /run/x; cat /proc/1/cmdline | tr '\\0' ' '").await, "zero\n/proc/self/exe isolated-agent ");
    session.delete().await;
}

#[tokio::test]
async fn state_lasts_and_output_is_streamed() {
    let place = Place::start().await;
    let session = place.create(&place.workspace("overlay")).await;
    session.output("f() { echo f-$X; }; X=1; cd sub").await;
    assert_eq!(session.output("f; cat deep").await, "f-1\ndeep\n");
    assert_eq!(session.run("exit 3").await.exit_code(), 3);
    assert_eq!(session.output("f").await, "f-1\n");
    let mut run = session
        .begin(json!({ "code": "echo $A; sleep 60", "envs": { "A": "b c" }, "timeout_seconds": 1 }))
        .await;
    assert_eq!(run.next_of(EventKind::Stdout).await.text.unwrap(), "b c\n");
    assert!(session.path.ends_with(&run.id()), "the stream begins with the session's id");
    while run.next().await.is_some() {}
    assert_eq!(run.exit_code(), -1);
    assert_eq!(session.output("f; pgrep -c sleep; true").await, "f-1\n0\n");
    let (status, _) = session.call(Method::POST, "/run", json!({ "code": " " }).to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = session
        .call(Method::POST, "/run", json!({ "code": "true", "timeout_seconds": -1 }).to_string())
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    session.delete().await;
}

#[tokio::test]
async fn background_runs_have_status_and_logs() {
    let place = Place::start().await;
    let session = place.create(&place.workspace("overlay")).await;
    session.output("X=inherited").await;
    let body = json!({ "code": "echo $X $Y; sleep 0.5; echo err >&2; exit 5", "envs": { "Y": "y" }, "background": true });
    let (status, answer) = session.call(Method::POST, "/run", body.to_string()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let run = format!("/runs/{}", answer["run_id"].as_str().unwrap());
    assert_eq!(session.output("echo at once").await, "at once\n");
    let start = Instant::now();
    let (mut log, mut cursor) = (String::new(), 0);
    let ended = loop {
        let state = session.json(&run).await;
        let request =
            place.execd.request(Method::GET, &format!("{}{run}/logs?cursor={cursor}", session.path), "");
        let response = place.execd.send(request).await;
        cursor = response.headers()["execd-isolated-tail-cursor"].to_str().unwrap().parse().unwrap();
        log += std::str::from_utf8(&response.collect().await.unwrap().to_bytes()).unwrap();
        if state["running"] == false {
            break state;
        }
        assert!(start.elapsed() < PATIENCE, "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(start.elapsed() > Duration::from_millis(300), "it ended too early");
    assert_eq!(log, "inherited y\nerr\n");
    assert_eq!((cursor, &ended["exit_code"]), (16_usize, &json!(5)));
    assert!(ended["finished_at"].is_string());
    assert_eq!(session.get(&format!("{run}/logs?cursor=-1")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(session.get("/runs/7b3f2f4e-0000-4000-8000-000000000000").await.0, StatusCode::NOT_FOUND);

    let killed = json!({ "code": "kill -9 $PPID $BASHPID; sleep 60", "background": true });
    let answer: Value =
        serde_json::from_str(&session.call(Method::POST, "/run", killed.to_string()).await.1).unwrap();
    let run = format!("/runs/{}", answer["run_id"].as_str().unwrap());
    let start = Instant::now();
    while session.json(&run).await["running"] == true {
        assert!(start.elapsed() < PATIENCE, "a killed run never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(session.json(&run).await["exit_code"], 137);
    session.delete().await;

    let session = place.create(&place.workspace("ro")).await;
    let (status, answer) = session.call(Method::POST, "/run", body.to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    session.delete().await;
}

#[tokio::test]
async fn files_are_those_of_the_session() {
    let place = Place::start().await;
    let session = place.create(&place.workspace("overlay")).await;
    let path = |name: &str| place.work.join(name).display().to_string();
    session.output("echo inside > old").await;
    assert_eq!(session.get(&format!("/files/download?path={}", path("old"))).await.1, "inside\n");

    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"m\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nuploaded\r\n--b--\r\n",
        json!({ "path": path("up/file"), "mode": 640 }),
    );
    let mut request = place.execd.request(Method::POST, &format!("{}/files/upload", session.path), form);
    request.headers_mut().insert("content-type", "multipart/form-data; boundary=b".parse().unwrap());
    assert_eq!(place.execd.send(request).await.status(), StatusCode::OK);
    assert_eq!(session.output("cat up/file; stat -c %a up/file").await, "uploaded640\n");

    let info = session.json(&format!("/files/info?path={}", path("up/file"))).await;
    assert_eq!(info[path("up/file")]["size"], 8);
    let (status, _) = session.get(&format!("/files/info?path={}", path("none"))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let post = async |path: &str, body: Value| session.call(Method::POST, path, body.to_string()).await;
    let ok = |(status, body): (StatusCode, String)| assert_eq!(status, StatusCode::OK, "{body}");
    ok(post("/files/permissions", json!({ (path("old")): { "mode": 600, "owner": "nobody" } })).await);
    ok(post("/files/mv", json!([{ "src": path("up/file"), "dest": path("moved") }])).await);
    ok(post("/files/replace", json!({ (path("moved")): { "old": "up", "new": "re" } })).await);
    ok(post("/directories", json!({ (path("made/here")): { "mode": 700 } })).await);
    assert_eq!(
        session.output("cat moved; stat -c '%U %a' old; [ -d made/here ] && echo y").await,
        "reloadednobody 600\ny\n"
    );
    let found = session.json(&format!("/files/search?path={}&pattern=mo*", path(""))).await;
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    let listed = session.json(&format!("/directories/list?path={}", place.work.display())).await;
    assert_eq!(listed.as_array().unwrap().len(), 5, "{listed}");
    ok(session.call(Method::DELETE, &format!("/files?path={}", path("moved")), "").await);
    ok(session.call(Method::DELETE, &format!("/directories?path={}", path("sub")), "").await);
    assert_eq!(session.output("ls").await, "made\nold\nup\n");
    assert!(place.work.join("sub/deep").exists() && !place.work.join("made").exists());
    let (status, body) = post("/directories", json!({ "/etc/made": { "mode": 700 } })).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    session.delete().await;
}

#[tokio::test]
async fn mounts_of_all_kinds() {
    let place = Place::start().await;
    let home = place.execd.home.path().canonicalize().unwrap();
    for name in ["ro", "rw", "gone", "extra", "source"] {
        fs::create_dir(home.join(name)).unwrap();
        fs::write(home.join(name).join("f"), name).unwrap();
    }
    let path = |name: &str| home.join(name).display().to_string();
    let body = json!({
        "workspace": { "path": place.work },
        "overlays": [
            { "path": path("work/sub"), "mode": "rw" },
            { "path": path("ro"), "mode": "ro" },
            { "path": path("rw"), "mode": "rw" },
            { "path": path("gone"), "persist": false },
        ],
        "extra_writable": [path("extra")],
        "binds": [{ "source": path("source"), "dest": path("work/bound"), "readonly": true }],
    });
    let session = place.create(&body).await;
    let script = format!(
        "cd {}; for d in ro rw gone extra work work/sub; do echo y > $d/new 2>/dev/null && echo $d; done; cat work/bound/f; touch work/bound/x 2>/dev/null || echo sealed",
        home.display()
    );
    assert_eq!(session.output(&script).await, "rw\ngone\nextra\nwork\nwork/sub\nsourcesealed\n");
    for (name, written) in
        [("ro", false), ("rw", true), ("gone", false), ("extra", true), ("work", false), ("work/sub", true)]
    {
        assert_eq!(home.join(name).join("new").exists(), written, "{name}");
    }
    let state = session.json("").await;
    assert_eq!(state["overlays"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&state["workspace"], &state["status"], &state["profile"]),
        (&Value::Null, &json!("active"), &json!("strict"))
    );
    let names: Vec<_> = session.diff().await.into_iter().map(|(name, _)| name).collect();
    assert!(
        names.contains(&"new".to_owned()) && !names.iter().any(|name| name.contains("gone")),
        "{names:?}"
    );
    session.delete().await;

    assert!(place.refused(&json!({})).await.contains("workspace"));
    assert!(place.refused(&json!({ "workspace": { "path": "relative" } })).await.contains("absolute"));
    let mut bad = place.workspace("overlay");
    bad["binds"] = json!([{ "source": place.work, "dest": "/none/here" }]);
    assert!(place.refused(&bad).await.contains("/none/here"));
}

#[tokio::test]
async fn networks_identities_and_variables() {
    let place = Place::start_with(&[("MY_API_KEY", "secret"), ("PLAIN", "plain")]).await;
    let mut body = place.workspace("overlay");
    body["share_net"] = json!(false);
    let session = place.create(&body).await;
    assert_eq!(session.output("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await, "lo\n");
    let listens = "python3 -c 'import socket as s; l=s.create_server((\"127.0.0.1\",0)); s.create_connection(l.getsockname()); print(1)'";
    assert_eq!(session.output(listens).await, "1\n");
    assert_eq!(session.output("echo $PLAIN-$MY_API_KEY-$EXECD_ACCESS_TOKEN").await, "plain--\n");
    session.delete().await;

    let mut body = place.workspace("overlay");
    body["profile"] = json!("balanced");
    body["uid"] = json!(4321);
    body["gid"] = json!(1234);
    fs::set_permissions(&place.work, fs::Permissions::from_mode(0o777)).unwrap();
    let session = place.create(&body).await;
    assert_eq!(
        session.output("id -u; id -g; echo $MY_API_KEY-$EXECD_ACCESS_TOKEN; touch mine").await,
        "4321\n1234\nsecret-\n"
    );
    assert_eq!(
        session.output("stat -c %u:%g mine; grep CapEff /proc/self/status").await,
        "4321:1234\nCapEff:\t0000000000000000\n"
    );
    session.delete().await;

    body["uid_mode"] = json!("userns");
    body["env_passthrough"] = json!({ "mode": "allow", "keys": ["plain"] });
    let session = place.create(&body).await;
    assert_eq!(session.output("id -u; id -g; echo $PLAIN-$MY_API_KEY").await, "4321\n1234\nplain-\n");
    assert_eq!(session.output("echo x > made; stat -c %u made").await, "4321\n");
    session.call(Method::POST, "/commit", "").await;
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(place.work.join("made")).unwrap()), 0);
    session.delete().await;
}

#[tokio::test]
async fn the_limit_is_exact_and_named() {
    const LIMIT: usize = 64;
    let place = Place::start().await;
    let body = place.workspace("ro");
    let mut sessions = Vec::new();
    for _ in 0..LIMIT {
        sessions.push(place.create(&body).await);
    }
    for _ in 0..2 {
        let (status, answer) = place.execd.call(Method::POST, "/v1/isolated/session", body.to_string()).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer}");
        assert!(answer.contains(&format!("{LIMIT} isolated sessions")), "{answer}");
    }
    assert_eq!(sessions[LIMIT - 1].output("cat old").await, "old\n", "all of them work");
    sessions.swap_remove(0).delete().await;
    let fresh = place.create(&body).await;
    assert_eq!(fresh.output("cat old").await, "old\n");
    let (status, _) = place.execd.call(Method::POST, "/v1/isolated/session", body.to_string()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "the place is taken again");
    // A request that is refused takes no place.
    fresh.delete().await;
    for _ in 0..3 {
        place.refused(&json!({ "workspace": { "path": "relative" } })).await;
    }
    place.create(&body).await.delete().await;
}

#[tokio::test]
async fn sessions_end() {
    let place = Place::start().await;
    let mut body = place.workspace("overlay");
    body["idle_timeout_seconds"] = json!(1);
    let idle = place.create(&body).await;
    let lasting = place.create(&place.workspace("overlay")).await;
    idle.output("sleep 1.5; true").await;
    let listed: Value = serde_json::from_str(&place.execd.get("/v1/isolated/sessions").await.1).unwrap();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 2, "a run keeps a session: {listed}");
    let start = Instant::now();
    while idle.get("").await.0 != StatusCode::NOT_FOUND {
        assert!(start.elapsed() < PATIENCE, "an idle session lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    lasting.output("sleep 1000 & true").await;
    assert_eq!(lasting.json("").await["idle_remaining_seconds"].as_i64().unwrap() / 10, 179);
    lasting.delete().await;
    let left = |path: PathBuf| {
        fs::read_dir(path).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
    };
    let own = fs::read_dir(place.execd.home.path().join("iso")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(left(own), 0, "directories are removed");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", place.execd.pid())).unwrap();
    assert_eq!(children, "", "processes are gone");
}
