//! Writing files that only their owner may read.

use std::io::{self, Write as _};
use std::path::Path;

/// Replaces `path` as a whole: whoever reads it sees the old or the new content, never a half.
///
/// # Errors
/// What the system says to a draft beside it, or to the renaming; then the old content stays.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    // One that somebody left keeps its permissions, or leads elsewhere.
    let _none_there = std::fs::remove_file(&draft);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&draft, path)
}
