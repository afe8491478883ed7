//! `p2pcall relay check`: the same test as `p2pcall-relay check`, of a link or of all that are configured.

use super::{Stored, parse, typed};
use crate::call::session::unix_seconds;
use crate::cli::NetworkArgs;
use crate::cmd::{print, settings};
use crate::config::proxy::ProxyLink;
use crate::config::{RelayLink, relays, settle};
use crate::error::{Exit, Failure};
use crate::transport::dial;
use p2pcall_relay::check::{self, Report};
use p2pcall_relay::link::BadLink;
use std::io::IsTerminal;
use std::sync::Arc;

/// What is tested, and under what name it is stored.
struct Target {
    name: Option<String>,
    link: RelayLink,
}

/// Tests the relays asked for, else all that are stored. Ends well if all of them work.
pub(super) async fn run(asked: &[String], proxy: Option<String>, json: bool) -> Result<Exit, Failure> {
    let targets = targets(asked)?;
    // A relay that only a call's proxy reaches works.
    let typed = NetworkArgs { proxy, ..NetworkArgs::default() };
    let proxy = settle::network(&typed, &settings::config_file()?)?.proxy;
    let mut exit = Exit::Ok;
    for target in &targets {
        if !json && (target.name.is_some() || targets.len() > 1) {
            print(&target.heading())?;
        }
        let report = target.check(proxy.as_ref(), json).await;
        print(&target.result(&report, json))?;
        if !report.works() {
            exit = Exit::Failure;
        }
    }
    Ok(exit)
}

impl Target {
    fn heading(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}: {}\n", self.link),
            None => format!("{}\n", self.link),
        }
    }

    async fn check(&self, proxy: Option<&Arc<ProxyLink>>, json: bool) -> Report {
        let mut out = std::io::stdout();
        let terminal = out.is_terminal();
        let dial = dial(proxy, &self.link.host);
        check::run_by(&self.link, unix_seconds(), dial, |progress| {
            if !json {
                // Whoever closed standard output does not want to read this.
                let _ = progress.write(&mut out, terminal);
            }
        })
        .await
    }

    fn result(&self, report: &Report, json: bool) -> String {
        if !json {
            return format!("{}\n", report.summary());
        }
        let mut object = report.json();
        if let Some(fields) = object.as_object_mut() {
            fields.insert("relay".into(), self.link.to_string().into());
            fields.insert("name".into(), self.name.clone().into());
        }
        format!("{object}\n")
    }
}

fn targets(asked: &[String]) -> Result<Vec<Target>, Failure> {
    if asked.is_empty() {
        return stored();
    }
    let mut targets = Vec::new();
    for text in asked {
        match text.parse::<RelayLink>() {
            Err(BadLink::Scheme) if text != "-" => targets.push(named(text)?),
            _ => targets.extend(typed(text)?.into_iter().map(|link| Target { name: None, link })),
        }
    }
    Ok(targets)
}

fn named(name: &str) -> Result<Target, Failure> {
    let known = Stored::read()?.file.relays;
    let text = known.get(name).ok_or_else(|| relays::unknown(name, &known))?;
    Ok(Target { name: Some(name.to_owned()), link: parse(text)? })
}

fn stored() -> Result<Vec<Target>, Failure> {
    let known = Stored::read()?.file.relays;
    if known.is_empty() {
        let help = "`p2pcall relay check LINK` tests one, `p2pcall relay add LINK` stores one.";
        return Err(Failure::usage("There is no relay to test: none is stored.", help));
    }
    let target = |(name, text): (String, String)| Ok(Target { link: parse(&text)?, name: Some(name) });
    known.into_iter().map(target).collect()
}
