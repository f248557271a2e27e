//! Files under an identity inside a real sandbox: every operation is truly that user's.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use sandkeep_tests::{api::Api, execd::Execd, server::Server};
use serde_json::{Value, json};

/// A user and a group that the image does not know.
const UID: u32 = 47_111;
const GID: u32 = 47_112;

struct Identity<'a> {
    execd: &'a Execd,
    prefix: String,
}

impl Identity<'_> {
    async fn call(&self, method: Method, path: &str, body: Option<&Value>, status: u16) -> Result<Value> {
        let answer = self.execd.send(method, &format!("{}{path}", self.prefix), body).await?;
        let answer = answer.expect(status).with_context(|| path.to_owned())?;
        Ok(answer.json().unwrap_or_else(|_| Value::String(answer.text())))
    }

    async fn upload(&self, path: &str, status: u16) -> Result<()> {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"m\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nuploaded\r\n--b--\r\n",
            json!({ "path": path, "mode": 640 }),
        );
        let mut request = Request::post(format!("{}{}/files/upload", self.execd.base, self.prefix))
            .header("content-type", "multipart/form-data; boundary=b");
        for (name, value) in &self.execd.headers {
            request = request.header(name, value);
        }
        let answer = Api::new("", "").request(request.body(Full::new(Bytes::from(body)))?).await?;
        answer.expect(status).with_context(|| path.to_owned())?;
        Ok(())
    }
}

#[tokio::test]
async fn files_of_an_identity_inside_a_sandbox() -> Result<()> {
    let sandbox = Server::shared()?.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let me = Identity { execd: &execd, prefix: format!("/v1/filesystem/{UID}/{GID}") };
    execd
        .output(&format!(
            "mkdir -p /srv/own /srv/closed; chown {UID}:{GID} /srv/own; \
             echo secret > /srv/closed/secret; echo plain > /srv/theirs; chmod 700 /srv/closed; chmod 644 /srv/theirs"
        ))
        .await?;

    // What it makes is its own.
    me.upload("/srv/own/deep/file", 200).await?;
    me.call(Method::POST, "/directories", Some(&json!({ "/srv/own/dir": { "mode": 750 } })), 200).await?;
    let owners = execd.output("stat -c '%u:%g %a' /srv/own/deep /srv/own/deep/file /srv/own/dir").await?;
    assert_eq!(owners, format!("{UID}:{GID} 755\n{UID}:{GID} 640\n{UID}:{GID} 750"));
    let content = me.call(Method::GET, "/files/download?path=/srv/own/deep/file", None, 200).await?;
    assert_eq!(content, "uploaded");
    let info = me.call(Method::GET, "/files/info?path=/srv/own/deep/file", None, 200).await?;
    assert_eq!(info["/srv/own/deep/file"]["size"], 8, "{info}");
    let moved = json!([{ "src": "/srv/own/deep/file", "dest": "/srv/own/dir/moved" }]);
    me.call(Method::POST, "/files/mv", Some(&moved), 200).await?;
    let replaced = json!({ "/srv/own/dir/moved": { "old": "up", "new": "re" } });
    me.call(Method::POST, "/files/replace", Some(&replaced), 200).await?;
    let mode = json!({ "/srv/own/dir/moved": { "mode": 600 } });
    me.call(Method::POST, "/files/permissions", Some(&mode), 200).await?;
    assert_eq!(
        execd.output("stat -c '%u:%g %a' /srv/own/dir/moved; cat /srv/own/dir/moved").await?,
        format!("{UID}:{GID} 600\nreloaded")
    );
    let found = me.call(Method::GET, "/files/search?path=/srv&pattern=*", None, 200).await?;
    let found = found.to_string();
    ensure!(found.contains("/srv/own/dir/moved") && !found.contains("secret"), "{found}");
    let listed = me.call(Method::GET, "/directories/list?path=/srv/own&depth=3", None, 200).await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(3), "{listed}");

    // What it may not do is refused, and not done.
    let denied = async |method, path: &str, body: Option<Value>| {
        let said = me.call(method, path, body.as_ref(), 403).await?;
        ensure!(said["message"].as_str().is_some_and(|text| text.contains("/srv/")), "{path}: {said}");
        Ok(())
    };
    denied(Method::GET, "/files/download?path=/srv/closed/secret", None).await?;
    denied(Method::GET, "/directories/list?path=/srv/closed", None).await?;
    denied(Method::GET, "/files/info?path=/srv/closed/secret", None).await?;
    denied(Method::DELETE, "/files?path=/srv/theirs", None).await?;
    denied(Method::DELETE, "/directories?path=/srv/closed", None).await?;
    denied(Method::POST, "/directories", Some(json!({ "/srv/new": {} }))).await?;
    denied(Method::POST, "/files/permissions", Some(json!({ "/srv/theirs": { "mode": 666 } }))).await?;
    denied(Method::POST, "/files/permissions", Some(json!({ "/srv/own/dir": { "owner": "root" } }))).await?;
    denied(Method::POST, "/files/replace", Some(json!({ "/srv/theirs": { "old": "p", "new": "x" } })))
        .await?;
    let theft = json!([{ "src": "/srv/theirs", "dest": "/srv/own/stolen" }]);
    denied(Method::POST, "/files/mv", Some(theft)).await?;
    me.upload("/srv/theirs", 403).await?;
    me.upload("/srv/closed/new", 403).await?;
    assert_eq!(
        execd.output("cat /srv/theirs /srv/closed/secret; stat -c '%u %a' /srv/theirs; ls /srv").await?,
        "plain\nsecret\n0 644\nclosed\nown\ntheirs"
    );

    // Its groups are none but the one named: a file of root's group stays closed.
    execd.output("echo group > /srv/grouped; chgrp 0 /srv/grouped; chmod 640 /srv/grouped").await?;
    denied(Method::GET, "/files/download?path=/srv/grouped", None).await?;
    me.call(Method::DELETE, "/directories?path=/srv/own/dir", None, 200).await?;
    assert_eq!(execd.output("ls /srv/own").await?, "deep");
    sandbox.delete().await
}
