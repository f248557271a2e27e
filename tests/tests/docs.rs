//! The documentation pages in a real browser, as a person uses them.

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    browser::Browser,
    server::{Server, Setup},
};
use serde_json::Value;

/// Fails if the browser asked anybody but the server under test.
fn only_this_origin(browser: &Browser, server: &Server) -> Result<()> {
    let origin = format!("{}/", server.url());
    let inline = ["data:", "blob:", "about:", "chrome:"];
    let strangers: Vec<String> = browser
        .requests()?
        .into_iter()
        .filter(|url| !url.starts_with(&origin) && !inline.iter().any(|scheme| url.starts_with(scheme)))
        .collect();
    ensure!(strangers.is_empty(), "the page loads from elsewhere: {strangers:?}");
    Ok(())
}

/// Opens an operation's block in Swagger UI and turns on its form; returns the block's selector.
fn try_out(browser: &Browser, method: &str, path: &str) -> Result<String> {
    let find = format!(
        "const block = [...document.querySelectorAll('.opblock-{method}')].find(block => \
         block.querySelector('.opblock-summary-path')?.textContent.replace(/\\u200b/g, '') === '{path}'); \
         if (block) block.setAttribute('data-e2e', '{method}'); return !!block;"
    );
    browser.wait_for(&format!("{method} {path}"), &find)?;
    let block = format!("[data-e2e={method}]");
    browser.click(&format!("{block} .opblock-summary-control"))?;
    // The page may be set to offer the form at once.
    let waiting = format!("{block} .try-out__btn:not(.cancel)");
    browser.wait_for(
        "the form's button",
        &format!("return !!document.querySelector('{block} .try-out__btn')"),
    )?;
    if browser.script(&format!("return !!document.querySelector('{waiting}')"))? == Value::Bool(true) {
        browser.click(&waiting)?;
    }
    Ok(block)
}

/// Presses Execute and returns the status the page shows.
fn execute(browser: &Browser, block: &str) -> Result<String> {
    browser.click(&format!("{block} .execute"))?;
    let status = format!(
        "return document.querySelector('{block} .live-responses-table .response .response-col_status')?.textContent.trim()"
    );
    let shown = browser.wait_for("a live response", &status)?;
    Ok(shown.as_str().unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned())
}

#[test]
fn swagger_ui_creates_and_lists_a_sandbox() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let browser = Browser::start()?;
    browser.open(&format!("{}/docs", server.url()))?;
    browser.wait_for("the lifecycle document", "return document.querySelectorAll('.opblock').length > 5")?;

    browser.click(".btn.authorize")?;
    browser.fill(".auth-container input", &server.key)?;
    browser.click(".auth-btn-wrapper .authorize")?;
    browser.click(".auth-btn-wrapper .btn-done")?;

    let create = try_out(&browser, "post", "/v1/sandboxes")?;
    browser.wait_for("the example", &format!("return document.querySelector('{create} textarea')?.value"))?;
    assert_eq!(execute(&browser, &create)?, "202", "the example works as it stands");
    browser.screenshot("docs-create")?;

    let list = try_out(&browser, "get", "/v1/sandboxes")?;
    assert_eq!(execute(&browser, &list)?, "200");
    let shown = browser.script(&format!(
        "return document.querySelector('{list} .live-responses-table .highlight-code, {list} .live-responses-table pre').textContent"
    ))?;
    ensure!(shown.as_str().is_some_and(|text| text.contains("sandkeep/base")), "the list shows {shown}");
    browser.screenshot("docs-list")?;

    only_this_origin(&browser, &server)?;
    let errors = browser.errors()?;
    ensure!(errors.is_empty(), "the page's console has errors: {errors:?}");
    Ok(())
}

#[test]
fn swagger_ui_shows_both_documents() -> Result<()> {
    let server = Server::start(Setup::default().without_image())?;
    let browser = Browser::start()?;
    browser.open(&format!("{}/docs", server.url()))?;
    let options = browser.wait_for(
        "the choice of documents",
        "const options = [...document.querySelectorAll('.topbar select option')]; \
         return options.length ? options.map(option => option.textContent) : false;",
    )?;
    let names: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(names.len() >= 2, "only {names:?} can be chosen");
    let execd =
        names.iter().position(|name| name.to_lowercase().contains("execd")).context("execd's document")?;
    browser.script(&format!(
        "const select = document.querySelector('.topbar select'); select.selectedIndex = {execd}; \
         select.dispatchEvent(new Event('change', {{bubbles: true}})); return true;"
    ))?;
    browser.wait_for(
        "an operation of execd",
        "return [...document.querySelectorAll('.opblock-summary-path')] \
         .some(path => path.textContent.replace(/\\u200b/g, '') === '/command')",
    )?;
    browser.screenshot("docs-execd")?;
    only_this_origin(&browser, &server)
}

#[test]
fn redoc_renders_the_document() -> Result<()> {
    let server = Server::start(Setup::default().without_image())?;
    let browser = Browser::start()?;
    browser.open(&format!("{}/redoc", server.url()))?;
    browser.wait_for(
        "the operations",
        "return document.body.innerText.includes('/v1/sandboxes') && document.querySelector('h1')",
    )?;
    browser.screenshot("redoc")?;
    only_this_origin(&browser, &server)?;
    let errors = browser.errors()?;
    ensure!(errors.is_empty(), "the page's console has errors: {errors:?}");
    Ok(())
}
