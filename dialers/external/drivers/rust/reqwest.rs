//! Drives reqwest: its asynchronous Client over hyper-util's pool, on tokio.

mod kit;

use kit::{Config, Dispatch, Driver, Outcome, Refused};
use reqwest::{redirect::Policy, retry, Client, Method};
use serde_json::json;
use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Runtime;

const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("tokio starts"))
}

fn main() {
    // reqwest's default features bring another provider, which takes minutes to build.
    rustls::crypto::ring::default_provider().install_default().expect("it is the first");
    kit::run(Driver {
        name: "reqwest",
        client: "reqwest",
        version: "0.13.5",
        runtime: "hyper 1.12.0, hyper-util 0.1.21, tokio 1.54.1",
        settings: json!([
            {"name": "pool_idle_timeout", "kind": "duration", "default": 90_000, "pool": "idle_timeout"},
            {"name": "pool_max_idle_per_host", "kind": "count", "default": null, "pool": "max_idle"},
            {"name": "connect_timeout", "kind": "duration", "default": null, "pool": "connect_timeout"},
            {"name": "read_timeout", "kind": "duration", "default": null, "pool": "response_timeout"},
            {"name": "retry", "kind": "text", "default": "default", "values": ["default", "never"]},
            {"name": "tcp_user_timeout", "kind": "duration", "default": 30_000},
            {"name": "tcp_nodelay", "kind": "bool", "default": true},
            {"name": "http1_only", "kind": "bool", "default": false},
        ]),
        new,
        start: |client, dispatch| {
            let client = client.clone();
            runtime().spawn(perform(client, dispatch));
        },
    });
}

fn new(c: &Config) -> Result<Client, Refused> {
    let mut b = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .pool_idle_timeout(c.duration("pool_idle_timeout", Some(POOL_IDLE_TIMEOUT)))
        .pool_max_idle_per_host(c.count("pool_max_idle_per_host", None).unwrap_or(usize::MAX))
        .tcp_user_timeout(c.duration("tcp_user_timeout", Some(TCP_USER_TIMEOUT)))
        .tcp_nodelay(c.bool("tcp_nodelay", true))
        .tls_danger_accept_invalid_certs(c.insecure);
    if let Some(d) = c.duration("connect_timeout", None) {
        b = b.connect_timeout(d);
    }
    if let Some(d) = c.duration("read_timeout", None) {
        b = b.read_timeout(d);
    }
    if let Some(d) = c.timeout {
        b = b.timeout(d);
    }
    if c.text("retry", "default") == "never" {
        b = b.retry(retry::never());
    }
    if c.bool("http1_only", false) {
        b = b.http1_only();
    }
    // The pool's own tasks need tokio around them.
    let _inside = runtime().enter();
    b.build().map_err(|e| Refused::new("", e.to_string()))
}

async fn perform(client: Client, d: Dispatch) {
    let called = kit::now();
    let mut o = Outcome { called, status: 0, bytes: 0, error: None };
    if let Err(e) = exchange(&client, &d, &mut o).await {
        o.error = Some(kit::describe(e.as_ref(), class));
    }
    kit::done(&d, o);
}

async fn exchange(client: &Client, d: &Dispatch, o: &mut Outcome) -> Result<(), Box<dyn Error>> {
    let mut request = client.request(Method::from_bytes(d.method.as_bytes())?, &d.url);
    for (name, value) in &d.headers {
        request = request.header(name, value);
    }
    if d.body > 0 {
        request = request.body(vec![b'x'; d.body]);
    }
    let mut response = request.send().await?;
    o.status = response.status().as_u16();
    while let Some(part) = response.chunk().await? {
        o.bytes += part.len() as u64;
    }
    Ok(())
}

fn class(e: &(dyn Error + 'static)) -> Option<&'static str> {
    match e {
        e if e.is::<reqwest::Error>() => Some("reqwest::Error"),
        e if e.is::<hyper_util::client::legacy::Error>() => Some("hyper_util::client::legacy::Error"),
        e if e.is::<hyper::Error>() => Some("hyper::Error"),
        _ => None,
    }
}
