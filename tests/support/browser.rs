//! Chromium without a window, by the WebDriver protocol (W3C, "WebDriver"): pages from files, and no network.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

/// For one answer.
const SECONDS: u64 = 60;

#[derive(Debug)]
pub struct Browser {
    driver: Child,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Why there is none here.
    pub fn missing() -> Option<String> {
        let there = |name: &str| Command::new(name).arg("--version").output().is_ok();
        (!there("chromium") || !there("chromedriver"))
            .then(|| "needs chromium and chromium-driver".to_owned())
    }

    pub fn start() -> anyhow::Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run chromedriver")?;
        let port = driver.stdout.take().context("no output").and_then(port_of);
        let mut browser = Self { driver, session: String::new(), _profile: profile };
        browser.session = format!("http://127.0.0.1:{}/session", port?);
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
            &profile,
        ];
        let answer = browser.post(
            "",
            &json!({"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL"},
            }}}),
        )?;
        let id = answer["sessionId"].as_str().with_context(|| format!("no session: {answer}"))?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.session);
        let answer = minreq::post(url).with_json(body)?.with_timeout(SECONDS).send()?;
        let value: Value = answer.json()?;
        ensure!(value["value"]["error"].is_null(), "{path}: {}", value["value"]["message"]);
        Ok(value["value"].clone())
    }

    pub fn open(&mut self, page: &Path) -> anyhow::Result<()> {
        self.post("/url", &json!({"url": format!("file://{}", page.display())})).map(drop)
    }

    /// What a script answers, as text.
    pub fn text(&mut self, script: &str) -> anyhow::Result<String> {
        let answer = self.post("/execute/sync", &json!({"script": script, "args": []}))?;
        Ok(answer.as_str().with_context(|| format!("`{script}` gave {answer}"))?.to_owned())
    }

    pub fn run(&mut self, script: &str) -> anyhow::Result<()> {
        self.post("/execute/sync", &json!({"script": script, "args": []})).map(drop)
    }

    /// A key, as the focused element gets it; U+E007 is Enter.
    pub fn press(&mut self, key: &str) -> anyhow::Result<()> {
        let actions = [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]}))
            .map(drop)
    }

    /// The page as on a screen of that size, which no window need have.
    pub fn resize(&mut self, width: u32, height: u32) -> anyhow::Result<()> {
        let parameters = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": parameters});
        self.post("/goog/cdp/execute", &command).map(drop)
    }

    /// Fails if the console was told anything.
    pub fn finish(self) -> anyhow::Result<()> {
        let said = self.post("/se/log", &json!({"type": "browser"}))?;
        match said.as_array().map(Vec::as_slice) {
            Some([]) => Ok(()),
            _ => bail!("the console was told: {said:#}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session, and chromedriver has no end of its own.
        let _ = minreq::delete(&self.session).with_timeout(SECONDS).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn port_of(output: impl std::io::Read) -> anyhow::Result<u16> {
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(port) = line.strip_suffix('.').and_then(|line| line.split_once("successfully on port ")) {
            return port.1.parse().with_context(|| line.clone());
        }
    }
    bail!("chromedriver ended without naming its port")
}
