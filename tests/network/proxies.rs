//! Calls from a network whose only way out is a proxy: real ones, for HTTP's CONNECT and for SOCKS5.

use super::own_relay::{Ends, let_out_only, offer, relay};
use super::support::lab::Lab;
use super::support::own_relay::OwnRelay;
use super::two_homes;
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the proxies are: beside the relay.
const PLACE: &str = "198.51.100.1";

/// A proxy that runs in the middle of `two_homes` until it is dropped.
struct Proxy(Child);

impl Proxy {
    /// `None`, loudly, where it is not installed.
    fn start(lab: &Lab, port: u16, command: &[&str]) -> Option<Self> {
        let name = command.first().expect("a program");
        if Command::new(name).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            println!("SKIPPED: {name} is not installed");
            return None;
        }
        let before = lab.before("inet");
        let words: Vec<&str> = before.iter().map(String::as_str).chain(command.iter().copied()).collect();
        let mut child = Command::new(words[0]);
        child.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let proxy = Self(child.spawn().expect("it starts"));
        let deadline = Instant::now() + Duration::from_secs(20);
        let listening = || lab.run("inet", "ss -Hltn").contains(&format!(":{port} "));
        while !listening() {
            assert!(Instant::now() < deadline, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The friend knows nothing but the code and the proxy, by which alone the relay can be reached.
fn through(lab: &Lab, port: u16, url: &str, protocol: &str) {
    let relay = relay(lab);
    let_out_only(lab, "home-b", &format!("tcp dport {port}"));
    tested(lab, &relay, url);
    let (alice, code) = offer(lab, &relay, &["--no-portmap"]);
    let mut ends = Ends::answer(lab, alice, &code, &["--no-portmap", "--proxy", url]);
    let [_, path] = ends.connected(url);
    assert_eq!((&path["kind"], &path["protocol"]), (&"relay".into(), &protocol.into()), "{path}");
    ends.see_and_hear();
    ends.hang_up();
}

/// What a p2pcall says on bob's machine, with a variable in its environment.
fn said(lab: &Lab, variable: &str, words: &str) -> (Value, i32) {
    let program = env!("CARGO_BIN_EXE_p2pcall");
    let command = format!("env XDG_CONFIG_HOME=/proc/none {variable} {program} {words} --json; echo $?");
    let output = lab.run("bob", &command);
    let (json, exit) = output.trim().rsplit_once('\n').expect("an object and an exit code");
    (serde_json::from_str(json).expect("JSON"), exit.parse().expect("a number"))
}

/// Both who test a relay test it as a call uses it.
fn tested(lab: &Lab, relay: &OwnRelay, url: &str) {
    let link = format!("'{}'", relay.link());
    let (check, exit) = said(lab, "", &format!("relay check {link} --proxy {url}"));
    let step = |name: &str| {
        let steps = check["steps"].as_array().into_iter().flatten();
        steps
            .filter(|step| step["name"] == name)
            .map(|step| (step["ok"] == true, step["text"].to_string()))
            .next()
    };
    let tcp = step("tcp").expect("TCP was tried");
    assert!(exit == 0 && tcp.0 && tcp.1.contains("by the proxy"), "{check}");
    assert_eq!(step("udp").map(|(ok, _)| ok), Some(false), "{check}");
    // By the environment it is the same.
    let words = format!("diagnose --stun {} --relay {link}", relay.stun());
    let (diagnosis, exit) = said(lab, &format!("ALL_PROXY={url}"), &words);
    assert_eq!((exit, diagnosis["verdict"].as_str()), (10, Some("relay")), "{diagnosis}");
    let relay = &diagnosis["relays"][0];
    assert!(relay["tcp"]["ok"] == true && relay["udp"]["ok"] == false, "{diagnosis}");
    let proxy = diagnosis["proxy"].as_str().expect("it is named");
    assert!(url.ends_with(proxy.rsplit('/').next().expect("a host")) && !proxy.contains("word"), "{proxy}");
}

#[test]
fn a_proxy_for_http_leads_to_the_relay() {
    let Some(lab) = two_homes(false) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("tinyproxy.conf");
    let text = format!("Port 8888\nListen {PLACE}\nBasicAuth me word\nTimeout 600\n");
    std::fs::write(&config, text).expect("it is written");
    let config = config.display().to_string();
    let Some(_proxy) = Proxy::start(&lab, 8888, &["tinyproxy", "-d", "-c", &config]) else { return };
    through(&lab, 8888, &format!("http://me:word@{PLACE}:8888"), "tcp");

    // Without its login the proxy is named, and the friend is told what it wants.
    let relay = relay(&lab);
    let (check, exit) =
        said(&lab, "", &format!("relay check '{}' --proxy http://{PLACE}:8888", relay.link()));
    assert!(exit == 1 && check.to_string().contains("it wants a user and a password"), "{check}");
    let (alice, code) = offer(&lab, &relay, &["--no-portmap"]);
    let url = format!("http://{PLACE}:8888");
    let mut ends = Ends::answer(&lab, alice, &code, &["--no-portmap", "--proxy", &url]);
    let warning = ends.warning("proxy_failed");
    assert!(warning.contains("wants a user and a password") && warning.contains(&url), "{warning}");
}

#[test]
fn a_proxy_for_socks5_leads_to_the_relay() {
    let Some(lab) = two_homes(false) else { return };
    let command = ["microsocks", "-i", PLACE, "-p", "1080", "-u", "me", "-P", "word"];
    let Some(_proxy) = Proxy::start(&lab, 1080, &command) else { return };
    through(&lab, 1080, &format!("socks5://me:word@{PLACE}:1080"), "tcp");
}
