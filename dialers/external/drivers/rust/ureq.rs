//! Drives ureq: its blocking Agent, on as many threads as there are requests in flight.

mod kit;

use kit::{Config, Dispatch, Driver, Outcome, Refused};
use serde_json::json;
use std::error::Error;
use std::io::Read;
use std::sync::mpsc::{channel, Sender};
use std::sync::Mutex;
use std::time::Duration;
use ureq::{http, tls::TlsConfig, Agent};

type Job = (Agent, Dispatch);

/// Threads that wait for their next job. A job that meets none brings a new one.
static WAITING: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

fn main() {
    kit::run(Driver {
        name: "ureq",
        client: "ureq",
        version: "3.5.2",
        runtime: "threads of std",
        settings: json!([
            {"name": "max_idle_connections", "kind": "count", "default": 10, "pool": "max_idle_all"},
            {"name": "max_idle_connections_per_host", "kind": "count", "default": 3, "pool": "max_idle"},
            {"name": "max_idle_age", "kind": "duration", "default": 15_000, "pool": "idle_timeout"},
            {"name": "timeout_connect", "kind": "duration", "default": null, "pool": "connect_timeout"},
            {"name": "timeout_recv_response", "kind": "duration", "default": null, "pool": "response_timeout"},
            {"name": "timeout_recv_body", "kind": "duration", "default": null},
            {"name": "timeout_per_read", "kind": "duration", "default": null},
            {"name": "timeout_send_request", "kind": "duration", "default": null},
            {"name": "timeout_per_call", "kind": "duration", "default": null},
            {"name": "no_delay", "kind": "bool", "default": true},
        ]),
        new,
        start,
    });
}

fn new(c: &Config) -> Result<Agent, Refused> {
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .allow_non_standard_methods(true)
        .tls_config(TlsConfig::builder().disable_verification(c.insecure).build())
        .max_idle_connections(c.count("max_idle_connections", Some(10)).unwrap_or(usize::MAX))
        .max_idle_connections_per_host(c.count("max_idle_connections_per_host", Some(3)).unwrap_or(usize::MAX))
        .max_idle_age(c.duration("max_idle_age", Some(Duration::from_secs(15))).unwrap_or(Duration::from_secs(1 << 30)))
        .timeout_connect(c.duration("timeout_connect", None))
        .timeout_recv_response(c.duration("timeout_recv_response", None))
        .timeout_recv_body(c.duration("timeout_recv_body", None))
        .timeout_per_read(c.duration("timeout_per_read", None))
        .timeout_send_request(c.duration("timeout_send_request", None))
        .timeout_per_call(c.duration("timeout_per_call", None))
        .no_delay(c.bool("no_delay", true))
        .timeout_global(c.timeout)
        .build()
        .new_agent())
}

/// Gives the request to a thread that waits, or to a new one.
fn start(agent: &Agent, d: Dispatch) {
    let mut job = (agent.clone(), d);
    loop {
        let waiting = WAITING.lock().unwrap().pop();
        let Some(thread) = waiting else { break };
        match thread.send(job) {
            Ok(()) => return,
            Err(back) => job = back.0, // it has ended
        }
    }
    let (sender, jobs) = channel::<Job>();
    let work = move || {
        perform(job);
        loop {
            WAITING.lock().unwrap().push(sender.clone());
            match jobs.recv_timeout(Duration::from_secs(600)) {
                Ok(next) => perform(next),
                Err(_) => return,
            }
        }
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(work).expect("a thread starts");
}

fn perform((agent, d): Job) {
    let mut o = Outcome { called: kit::now(), status: 0, bytes: 0, error: None };
    if let Err(e) = exchange(&agent, &d, &mut o) {
        o.error = Some(describe(e.as_ref()));
    }
    kit::done(&d, o);
}

fn exchange(agent: &Agent, d: &Dispatch, o: &mut Outcome) -> Result<(), Box<dyn Error>> {
    let mut request = http::Request::builder().method(d.method.as_str()).uri(&d.url);
    for (name, value) in &d.headers {
        request = request.header(name, value);
    }
    let mut response = match d.body {
        0 => agent.run(request.body(())?)?,
        n => agent.run(request.body(vec![b'x'; n])?)?,
    };
    o.status = response.status().as_u16();
    let mut body = response.body_mut().as_reader();
    let mut part = [0; 16 << 10];
    loop {
        match body.read(&mut part)? {
            0 => return Ok(()),
            n => o.bytes += n as u64,
        }
    }
}

/// ureq's errors keep what they come from to themselves, so the variant is in the class.
fn describe(e: &(dyn Error + 'static)) -> serde_json::Value {
    let mut described = kit::describe(e, |_| None);
    if let Some(e) = e.downcast_ref::<ureq::Error>() {
        let debug = format!("{e:?}");
        let variant = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        described["class"] = format!("ureq::Error::{variant}").into();
        if let ureq::Error::Io(inner) = e {
            described["causes"] = json!([{"class": "std::io::Error", "text": inner.to_string()}]);
        }
    }
    described
}
