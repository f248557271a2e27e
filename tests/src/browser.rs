//! A real browser, headless, driven through the WebDriver protocol.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{paths, wire};

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Slow machines need seconds to lay out the larger document.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// Nothing but the page under test: no updates, no experiments, no pings home.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1800",
];

/// One browser window. Closed when dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Starts the browser with an empty profile.
    pub fn start() -> Result<Self> {
        let chromium = paths::program("chromium", "chromium")?;
        let driver = paths::program("chromedriver", "chromium-driver")?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let profile = paths::artifacts()?.join(format!("browser-{port}"));
        std::fs::create_dir_all(&profile)?;
        let log = std::fs::File::create(profile.join("driver.log"))?;
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .env("HOME", &profile)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut browser = Self { driver, address, session: String::new(), profile };
        browser.wait_for_driver()?;
        browser.open_session(&chromium)?;
        Ok(browser)
    }

    fn wait_for_driver(&self) -> Result<()> {
        let since = Instant::now();
        while !wire::request(self.address, "GET", "/status", &[], b"").is_ok_and(|it| it.status == 200) {
            ensure!(since.elapsed() < START_TIMEOUT, "chromedriver does not answer");
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn open_session(&mut self, chromium: &Path) -> Result<()> {
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", self.profile.join("data").display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": chromium, "args": flags},
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
        }}});
        let answer = self.call("POST", "/session", &wanted)?;
        self.session = answer["sessionId"].as_str().context("a session has an id")?.to_owned();
        Ok(())
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("Content-Type", "application/json")];
        let answer = wire::request(self.address, method, path, &headers, &body)?;
        let value: Value =
            serde_json::from_str(&answer.body).with_context(|| format!("{path}: {answer:?}"))?;
        ensure!(answer.status == 200, "{path}: {}", value["value"]["message"]);
        Ok(value["value"].clone())
    }

    fn command(&self, path: &str, body: &Value) -> Result<Value> {
        self.call("POST", &format!("/session/{}/{path}", self.session), body)
    }

    /// Opens a page and waits until it has loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.command("url", &json!({"url": url}))?;
        Ok(())
    }

    /// Value of a JavaScript function body run in the page.
    pub fn script(&self, body: &str) -> Result<Value> {
        self.command("execute/sync", &json!({"script": body, "args": []}))
    }

    /// Runs a function body again and again until it returns something truthy, and returns that.
    pub fn wait_for(&self, what: &str, body: &str) -> Result<Value> {
        self.wait_within(WAIT_TIMEOUT, what, body)
    }

    /// The same, for what may take longer than laying out a document.
    pub fn wait_within(&self, limit: Duration, what: &str, body: &str) -> Result<Value> {
        let since = Instant::now();
        loop {
            let value = self.script(body)?;
            if !matches!(value, Value::Null | Value::Bool(false)) && value != json!("") && value != json!(0) {
                return Ok(value);
            }
            if since.elapsed() > limit {
                let picture = self.screenshot("page-that-failed")?;
                bail!("the page never shows {what}: see {}", picture.display());
            }
            std::thread::sleep(POLL);
        }
    }

    fn element(&self, css: &str) -> Result<String> {
        self.wait_for(css, &format!("return !!document.querySelector({})", json!(css)))?;
        let element = self.command("element", &json!({"using": "css selector", "value": css}))?;
        let id = element.as_object().and_then(|object| object.values().next());
        id.and_then(|id| id.as_str()).map(str::to_owned).context("an element has an id")
    }

    /// Clicks the first element that a selector finds, as a person would: scrolled to and really hit.
    pub fn click(&self, css: &str) -> Result<()> {
        let id = self.element(css)?;
        let center = json!(css);
        self.script(&format!("document.querySelector({center}).scrollIntoView({{block: 'center'}})"))?;
        self.command(&format!("element/{id}/click"), &json!({}))
            .with_context(|| format!("clicking {css}"))?;
        Ok(())
    }

    /// Replaces the text of an input.
    pub fn fill(&self, css: &str, text: &str) -> Result<()> {
        let id = self.element(css)?;
        self.command(&format!("element/{id}/clear"), &json!({}))
            .with_context(|| format!("clearing {css}"))?;
        self.command(&format!("element/{id}/value"), &json!({"text": text}))
            .with_context(|| format!("typing into {css}"))?;
        Ok(())
    }

    /// Saves what the window shows as `target/e2e/NAME.png`.
    pub fn screenshot(&self, name: &str) -> Result<PathBuf> {
        let image = self.call("GET", &format!("/session/{}/screenshot", self.session), &Value::Null)?;
        let image = BASE64_STANDARD.decode(image.as_str().context("a screenshot is text")?)?;
        let path = paths::artifacts()?.join(format!("{name}.png"));
        std::fs::write(&path, image)?;
        Ok(path)
    }

    /// Addresses of all requests the browser has made since the last call.
    pub fn requests(&self) -> Result<Vec<String>> {
        let entries = self.command("se/log", &json!({"type": "performance"}))?;
        let mut urls = Vec::new();
        for entry in entries.as_array().into_iter().flatten() {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap_or("{}"))?;
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                urls.extend(message["params"]["request"]["url"].as_str().map(str::to_owned));
            }
        }
        Ok(urls)
    }

    /// Errors on the page's console since the last call.
    pub fn errors(&self) -> Result<Vec<String>> {
        let entries = self.command("se/log", &json!({"type": "browser"}))?;
        let severe = entries.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.map(|entry| entry["message"].to_string()).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver takes the browser with it; failures have nobody left to act on them.
        if !self.session.is_empty() {
            let _ = self.call("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
