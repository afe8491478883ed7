//! Two ends in a call.

use super::end::{End, Trouble};

/// A call that touches no server and no device.
pub(crate) const SYNTHETIC: [&str; 7] =
    ["--no-servers", "--video", "test", "--audio", "tone", "--speaker", "none"];

/// Who made the call, and who answered.
pub(crate) struct Pair {
    pub(crate) offerer: End,
    pub(crate) answerer: End,
}

impl Pair {
    /// An offer and its answer, both with these options; the answerer has only just been started.
    pub(crate) fn start<S: AsRef<str>>(options: &[S]) -> Result<Self, Trouble> {
        let with = |first: &[&str]| -> Result<End, Trouble> {
            let args: Vec<&str> = first.iter().copied().chain(options.iter().map(AsRef::as_ref)).collect();
            End::start(&args)
        };
        let mut offerer = with(&["offer"])?;
        let (_, code) = offerer.code()?;
        let answerer = with(&["answer", &code])?;
        Ok(Self { offerer, answerer })
    }

    /// Both ends.
    pub(crate) fn ends(&mut self) -> [&mut End; 2] {
        [&mut self.offerer, &mut self.answerer]
    }

    /// One hangs up, both end.
    pub(crate) fn hang_up(self) -> Result<(), Trouble> {
        self.answerer.hang_up()?;
        self.offerer.hang_up()
    }
}
