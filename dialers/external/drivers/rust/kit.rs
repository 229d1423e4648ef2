//! The driver's side of kabench's protocol, for drivers written in Rust: frames on
//! standard input and output, the kinds of settings, and the chain beneath an error.

#![allow(dead_code)] // a driver uses what it needs

use serde_json::{json, Map, Value};
use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// At most this many causes of an error are reported.
const MAX_CAUSES: usize = 8;

/// Nanoseconds since the driver began.
pub fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Writes a frame, whole and at once.
pub fn write(frame: &Value) {
    let mut line = frame.to_string();
    line.push('\n');
    let mut out = std::io::stdout().lock();
    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1); // nobody listens any more
    }
}

/// A setting that the client cannot take, and why.
pub struct Refused {
    pub setting: String,
    pub text: String,
}

impl Refused {
    pub fn new(setting: &str, text: impl Into<String>) -> Self {
        Refused { setting: setting.into(), text: text.into() }
    }
}

/// What a client is made of.
pub struct Config {
    values: Map<String, Value>,
    pub timeout: Option<Duration>, // of a whole request
    pub insecure: bool,            // certificates are not verified
}

impl Config {
    /// The value that was sent, or the default. None is "no limit" or "off".
    pub fn duration(&self, name: &str, default: Option<Duration>) -> Option<Duration> {
        match self.values.get(name) {
            None => default,
            Some(v) => v.as_f64().map(milliseconds),
        }
    }

    pub fn count(&self, name: &str, default: Option<usize>) -> Option<usize> {
        match self.values.get(name) {
            None => default,
            Some(v) => v.as_u64().map(|n| n as usize),
        }
    }

    pub fn bool(&self, name: &str, default: bool) -> bool {
        match self.values.get(name) {
            None => default,
            Some(v) => v.as_bool().unwrap_or(false),
        }
    }

    pub fn text(&self, name: &str, default: &str) -> String {
        self.values.get(name).and_then(|v| v.as_str()).unwrap_or(default).into()
    }
}

fn milliseconds(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

/// One exchange to perform.
pub struct Dispatch {
    pub round: u64, // which config it came after
    pub seq: u64,
    pub received: u64,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: usize, // this many bytes of 'x'
}

/// What the client told its caller, and when.
pub struct Outcome {
    pub called: u64,
    pub status: u16,
    pub bytes: u64, // of the body, all read
    pub error: Option<Value>,
}

/// How many configs there were.
static ROUND: AtomicU64 = AtomicU64::new(0);

/// Reports an exchange that has just ended, unless kabench has made a new client since: it
/// has then given the exchange up.
pub fn done(d: &Dispatch, o: Outcome) {
    let mut frame = json!({"type": "done", "seq": d.seq, "received": d.received, "called": o.called,
        "finished": now(), "status": o.status, "bytes": o.bytes});
    if let Some(error) = o.error {
        frame["error"] = error;
    }
    if ROUND.load(Ordering::SeqCst) == d.round {
        write(&frame);
    }
}

/// Describes an error and the chain beneath it. class names the types that it knows.
pub fn describe(error: &(dyn Error + 'static), class: fn(&(dyn Error + 'static)) -> Option<&'static str>) -> Value {
    let one = |e: &(dyn Error + 'static)| {
        let class = match class(e) {
            Some(name) => name.to_string(),
            None if e.is::<std::io::Error>() => "std::io::Error".into(),
            None => format!("{e:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").into(),
        };
        json!({"class": class, "text": e.to_string()})
    };
    let mut described = one(error);
    let mut causes = Vec::new();
    let mut next = error.source();
    while let (Some(cause), true) = (next, causes.len() < MAX_CAUSES) {
        causes.push(one(cause));
        next = cause.source();
    }
    described["causes"] = causes.into();
    described
}

/// What a driver says in its hello, and how it makes its client.
pub struct Driver<C> {
    pub name: &'static str,
    pub client: &'static str,
    pub version: &'static str,
    pub runtime: &'static str,
    pub settings: Value, // a list
    pub new: fn(&Config) -> Result<C, Refused>,
    pub start: fn(&C, Dispatch), // must not wait: it is called in the loop that reads frames
}

/// Speaks for the driver until kabench says bye or closes standard input.
pub fn run<C>(driver: Driver<C>) {
    now();
    write(&json!({"type": "hello", "protocol": 1, "driver": driver.name, "client": driver.client,
        "version": driver.version, "runtime": driver.runtime, "settings": driver.settings, "gauges": []}));
    let mut client = None;
    let mut input = std::io::BufReader::with_capacity(1 << 16, std::io::stdin());
    let mut line = String::new();
    loop {
        line.clear();
        if !matches!(input.read_line(&mut line), Ok(n) if n > 0) {
            return;
        }
        let Ok(frame) = serde_json::from_str::<Value>(&line) else {
            eprintln!("a frame that is no JSON: {line}");
            continue;
        };
        match frame["type"].as_str().unwrap_or("") {
            "config" => {
                ROUND.fetch_add(1, Ordering::SeqCst);
                client = None; // closes the one before
                match configure(&driver, &frame) {
                    Ok(made) => {
                        client = Some(made);
                        write(&json!({"type": "ready"}));
                    }
                    Err(r) => write(&json!({"type": "refused", "setting": r.setting, "text": r.text})),
                }
            }
            "clock" => write(&json!({"type": "clock", "now": now()})),
            "dispatch" => {
                let dispatch = dispatch(&frame);
                match &client {
                    Some(c) => (driver.start)(c, dispatch),
                    None => done(&dispatch, Outcome { called: now(), status: 0, bytes: 0,
                        error: Some(json!({"class": "kabench.protocol", "text": "dispatch before config", "causes": []})) }),
                }
            }
            "bye" => {
                write(&json!({"type": "bye"}));
                std::process::exit(0); // requests in flight are given up
            }
            _ => {}
        }
    }
}

fn dispatch(frame: &Value) -> Dispatch {
    let text = |v: &Value| v.as_str().unwrap_or("").to_string();
    let headers = frame["headers"].as_array().map(|all| all.iter().map(|h| (text(&h[0]), text(&h[1]))).collect());
    Dispatch {
        round: ROUND.load(Ordering::SeqCst),
        seq: frame["seq"].as_u64().unwrap_or(0),
        method: text(&frame["method"]),
        url: text(&frame["url"]),
        headers: headers.unwrap_or_default(),
        body: frame["body"].as_u64().unwrap_or(0) as usize,
        received: now(),
    }
}

fn configure<C>(driver: &Driver<C>, frame: &Value) -> Result<C, Refused> {
    let values = frame["settings"].as_object().cloned().unwrap_or_default();
    for (name, value) in &values {
        check(&driver.settings, name, value)?;
    }
    (driver.new)(&Config {
        values,
        timeout: frame["timeout"].as_f64().map(milliseconds),
        insecure: frame["insecure"].as_bool().unwrap_or(false),
    })
}

fn check(settings: &Value, name: &str, value: &Value) -> Result<(), Refused> {
    let all = settings.as_array().expect("settings are a list");
    let Some(setting) = all.iter().find(|s| s["name"] == name) else {
        let names: Vec<&str> = all.iter().filter_map(|s| s["name"].as_str()).collect();
        return Err(Refused::new(name, format!("there is no such setting; there are {}", names.join(", "))));
    };
    let refused = |text: &str| Err(Refused::new(name, text));
    match setting["kind"].as_str().unwrap_or("") {
        _ if value.is_null() => Ok(()),
        "duration" if !value.as_f64().is_some_and(|ms| (0.0..1e15).contains(&ms)) => refused("it takes milliseconds, 0 or more, or null"),
        "count" if !value.as_u64().is_some_and(|n| n < 1 << 31) => refused("it takes a whole number from 0 to 2147483647, or null"),
        "bool" if !value.is_boolean() => refused("it takes true or false"),
        "text" => match setting["values"].as_array() {
            _ if !value.is_string() => refused("it takes a text"),
            Some(allowed) if !allowed.contains(value) => refused(&format!("it takes one of {}", setting["values"])),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
