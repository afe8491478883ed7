//! I/O: each configured relay by each of its transports, at the same time: the steps of `relay check`.

use crate::call::channel::clean;
use crate::config::RelayLink;
use crate::config::proxy::ProxyLink;
use crate::nat::facts::{RelayFinding, RelayTry};
use crate::transport::dial;
use p2pcall_relay::check::{self, Dial, Progress, Step, StepName};
use p2pcall_relay::link::Transport;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// One relay by one transport takes no longer.
const PATIENCE: Duration = Duration::from_secs(9);
/// The longest sentence about a relay.
const SENTENCE: usize = 240;

/// Tries a relay. `udp` turns false when it is known that no UDP gets out: then nobody waits for it any longer.
pub(super) async fn examine(
    link: RelayLink,
    proxy: Option<Arc<ProxyLink>>,
    unix: u64,
    udp: watch::Receiver<bool>,
) -> RelayFinding {
    let transports = link.transports();
    let of = |transport: Transport| {
        let only = RelayLink { transport: Some(transport), ..link.clone() };
        let (udp, wanted) = (udp.clone(), transports.contains(&transport));
        let dial = dial(proxy.as_ref(), &link.host);
        async move { if wanted { Some(one_way(only, dial, unix, udp, transport).await) } else { None } }
    };
    let (by_udp, by_tcp, by_tls) = tokio::join!(of(Transport::Udp), of(Transport::Tcp), of(Transport::Tls));
    let ways: Vec<&Way> = [&by_udp, &by_tcp, &by_tls].into_iter().flatten().collect();
    let best = ways.iter().find(|way| way.carries == Some(true));
    let carries = match (best, ways.iter().all(|way| way.carries == Some(false))) {
        (Some(_), _) => Some(true),
        (None, true) => Some(false),
        (None, false) => None,
    };
    // What is wrong behind a way that is open says more than that another one is closed.
    let reached = ways.iter().filter(|way| way.tried.ok).chain(&ways);
    let trouble = match best {
        Some(_) => None,
        None => reached.clone().find_map(|way| way.trouble.clone()),
    };
    let (loss, jitter_ms) = (best.and_then(|way| way.loss), best.and_then(|way| way.jitter_ms));
    RelayFinding {
        link: link.to_string(),
        host: link.host.clone(),
        loss,
        jitter_ms,
        carries,
        trouble,
        udp: by_udp.map(|way| way.tried),
        tcp: by_tcp.map(|way| way.tried),
        tls: by_tls.map(|way| way.tried),
    }
}

/// One transport of a relay.
struct Way {
    tried: RelayTry,
    carries: Option<bool>,
    loss: Option<f64>,
    jitter_ms: Option<f64>,
    trouble: Option<String>,
}

async fn one_way(
    link: RelayLink,
    dial: Option<Dial>,
    unix: u64,
    mut udp: watch::Receiver<bool>,
    transport: Transport,
) -> Way {
    let steps: Arc<Mutex<Vec<Step>>> = Arc::default();
    let note = Arc::clone(&steps);
    let checking = check::run_by(&link, unix, dial, move |progress| {
        if let Progress::Done(step) = progress {
            lock(&note).push(step.clone());
        }
    });
    let given_up = async {
        if transport != Transport::Udp || udp.wait_for(|open| !open).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let report = tokio::select! {
        report = tokio::time::timeout(PATIENCE, checking) => report.ok(),
        () = given_up => None,
    };
    let steps = lock(&steps).clone();
    let name = match transport {
        Transport::Udp => StepName::Udp,
        Transport::Tcp => StepName::Tcp,
        Transport::Tls => StepName::Tls,
    };
    let reached = steps.iter().find(|step| step.name == name);
    let failed = steps.iter().find(|step| !step.ok() && is_vital(step.name));
    let silent = || format!("no answer over {transport}");
    let trouble = match (&report, failed) {
        (_, Some(step)) => Some(clean(&step.text, SENTENCE)),
        (None, None) if reached.is_some() => Some("it answers, but too slowly to be tested".to_owned()),
        (None, None) => Some(silent()),
        (Some(_), None) => None,
    };
    let carries = match &report {
        Some(report) => Some(report.works()),
        None if failed.is_some() || reached.is_none() => Some(false),
        None => None,
    };
    let ok = reached.is_some_and(Step::ok);
    Way {
        tried: RelayTry {
            ok,
            rtt_ms: reached.and_then(|step| step.ms),
            error: if ok { None } else { trouble.clone().or_else(|| Some(silent())) },
        },
        carries,
        loss: report.as_ref().and_then(|report| report.loss),
        jitter_ms: report.as_ref().and_then(|report| report.jitter_ms),
        trouble,
    }
}

/// Steps without which no call gets through.
fn is_vital(name: StepName) -> bool {
    !matches!(name, StepName::Doorbell | StepName::Guest)
}

fn lock(steps: &Mutex<Vec<Step>>) -> std::sync::MutexGuard<'_, Vec<Step>> {
    steps.lock().unwrap_or_else(PoisonError::into_inner)
}
