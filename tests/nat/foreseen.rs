//! The path that is foreseen, by everybody who foresees one, and the path that is found.

use super::all_of;
use super::natlab::diagnosis::{self, Foreseen};
use super::natlab::kind::Kind::{
    Firewalled, FullCone, PortRestricted, Public, Symmetric, SymmetricByAddress, SymmetricSequential,
    UdpBlocked,
};

#[test]
fn the_path_is_foreseen_by_all_who_say_that_they_are_sure_and_they_agree() {
    let all = [
        (PortRestricted, PortRestricted),
        (Symmetric, FullCone),
        (FullCone, Symmetric),
        (PortRestricted, Symmetric),
        (PortRestricted, SymmetricSequential),
        (Symmetric, SymmetricByAddress),
        (UdpBlocked, PortRestricted),
        (Public, Firewalled),
    ];
    all_of(&all, |(alice, bob)| {
        let Foreseen { found, code, diagnose, answer } = diagnosis::foresee(*alice, *bob)?;
        println!("{} and {}: {found:?}", alice.name(), bob.name());
        println!("  code: {code:?}\n  diagnose: {diagnose:?}\n  answer: {answer:?}");
        let wrong = [code, diagnose, answer].iter().any(|said| said.sure && said.path != found);
        let disagree = diagnose.path != answer.path && diagnose.sure && answer.sure;
        // Who has measured everything knows.
        let vague = *alice == Symmetric && *bob != FullCone && !diagnose.sure;
        (wrong || disagree || vague)
            .then(|| format!("{alice:?}, {bob:?}: wrong {wrong}, disagree {disagree}"))
    });
}
