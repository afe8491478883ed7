//! I/O: one file's way in, on a thread that may wait for the disk: into a part file of its own, and under its name only
//! when it is whole and its digest agrees. Nothing that was there before is ever touched.

use super::{News, unkept};
use crate::call::channel::Stopped;
use crate::call::event::Side;
use crate::share::frame::Frame;
use crate::share::name::numbered;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Names tried before a folder is given up.
const MOST_NAMES: u32 = 1_000;

/// Keeps a file of `bytes` bytes; ends when it is whole, or nothing comes any more.
pub(super) fn keep(
    folder: &Path,
    name: &str,
    (id, bytes): (u32, u64),
    mut frames: mpsc::Receiver<Frame>,
    news: &mpsc::Sender<News>,
) {
    let told = match Part::create(folder, name, bytes) {
        Ok(part) => {
            let _ = news.blocking_send(News::Placed(id));
            part.fill(id, &mut frames, news)
        }
        Err(error) => Err(because(&error)),
    };
    let _ = match told {
        Ok(Some(path)) => news.blocking_send(News::Kept(id, path)),
        Ok(None) => Ok(()),
        Err(why) => news.blocking_send(News::Failed(Side::Remote, id, why)),
    };
}

/// A file that is not whole; gone when it is dropped.
struct Part {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    name: String,
    bytes: u64,
    done: u64,
    digest: Sha256,
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Part {
    fn create(folder: &Path, name: &str, bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // A path that stays right wherever this process goes.
        let folder = fs::canonicalize(folder)?;
        if room(&folder).is_some_and(|room| room < bytes) {
            return Err(ErrorKind::StorageFull.into());
        }
        let part = format!("{name}.part");
        let (path, file) =
            first_free(&folder, &part, |path| OpenOptions::new().write(true).create_new(true).open(path))?;
        let digest = Sha256::new();
        Ok(Self { file, path, folder, name: name.to_owned(), bytes, done: 0, digest })
    }

    /// Takes what comes; `None` when it was stopped.
    fn fill(
        mut self,
        id: u32,
        frames: &mut mpsc::Receiver<Frame>,
        news: &mpsc::Sender<News>,
    ) -> Result<Option<PathBuf>, Stopped> {
        while let Some(frame) = frames.blocking_recv() {
            match frame {
                Frame::Piece { offset, bytes, .. } => {
                    self.piece(offset, &bytes)?;
                    // One word for all that lay ready.
                    if frames.is_empty() || self.done.is_multiple_of(64 * 1024) {
                        let _ = news.blocking_send(News::Has(id, self.done));
                    }
                }
                // What came by the connection before may have ended it already; so may its own.
                Frame::End { digest, .. } => return self.publish(&digest).map(Some),
                Frame::Got { .. } => {}
            }
        }
        Ok(None)
    }

    /// Bytes that are there already come again after a reconnection; bytes further on never come alone.
    fn piece(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Stopped> {
        let known = self.done.saturating_sub(offset);
        let Some(new) = usize::try_from(known).ok().and_then(|known| bytes.get(known..)) else {
            return Ok(());
        };
        if offset > self.done || self.done + new.len() as u64 > self.bytes {
            return Err(Stopped::Damaged);
        }
        self.file.write_all(new).map_err(|error| because(&error))?;
        self.digest.update(new);
        self.done += new.len() as u64;
        Ok(())
    }

    /// Gives it its name, or the first free one like it.
    fn publish(self, digest: &[u8; 32]) -> Result<PathBuf, Stopped> {
        if self.done != self.bytes || self.digest.clone().finalize()[..] != digest[..] {
            return Err(Stopped::Damaged);
        }
        self.file.sync_all().map_err(|error| because(&error))?;
        let published = first_free(&self.folder, &self.name, |path| match fs::hard_link(&self.path, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                // A file system without such links: hold the name, then move over it.
                OpenOptions::new().write(true).create_new(true).open(path)?;
                fs::rename(&self.path, path)
            }
            done => done,
        });
        published.map(|(path, ())| path).map_err(|error| because(&error))
    }
}

/// Makes something under the first name that is free.
pub(in crate::call::session) fn first_free<T>(
    folder: &Path,
    name: &str,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    for nth in 1..=MOST_NAMES {
        let path = folder.join(numbered(name, nth));
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Bytes that still fit on a folder's disk, where that can be known.
fn room(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    return None;
}

fn because(error: &io::Error) -> Stopped {
    log::warn!("a file can't be kept: {error}");
    unkept(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(folder: &Path, bytes: u64) -> Part {
        Part::create(folder, "a.txt", bytes).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_whole_file_gets_its_name_and_takes_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "mine").unwrap();
        let mut part = part(folder.path(), 5);
        part.piece(0, b"hel").unwrap();
        // From the connection before and from the one after it.
        part.piece(1, b"el").unwrap();
        part.piece(2, b"llo").unwrap();
        let path = part.publish(&Sha256::digest("hello").into()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert_eq!(names(folder.path()), ["a (2).txt", "a.txt"]);
        assert_eq!(fs::read(folder.path().join("a.txt")).unwrap(), b"mine");
    }

    #[test]
    fn what_is_damaged_too_long_or_has_a_gap_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut wrong = part(folder.path(), 5);
        wrong.piece(0, b"hello").unwrap();
        assert_eq!(wrong.publish(&[0; 32]), Err(Stopped::Damaged));
        assert_eq!(part(folder.path(), 3).piece(0, b"hello"), Err(Stopped::Damaged));
        assert_eq!(part(folder.path(), 9).piece(4, b"hello"), Err(Stopped::Damaged));
        assert_eq!(part(folder.path(), 9).publish(&Sha256::digest("").into()), Err(Stopped::Damaged));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn an_empty_file_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = part(folder.path(), 0).publish(&Sha256::digest("").into()).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"");
    }

    #[test]
    fn more_than_the_disk_holds_is_refused_before_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let error = Part::create(folder.path(), "a", u64::MAX).err().unwrap();
        assert_eq!(unkept(&error), Stopped::NoSpace);
    }
}
