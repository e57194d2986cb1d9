//! `export` and `import`: runs as files, piece by piece, so that memory does not grow with the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Problem,
    args::{ExportArgs, ImportArgs},
    connect::{Scope, Service},
    output::Output,
    random_id, text,
};
use crate::{
    json,
    proto::{self, import_request::Part},
};

/// Bytes of a file that are sent at a time, and pieces that wait to be sent.
const PIECE_BYTES: usize = 256 * 1024;
const MAX_WAITING: usize = 4;

pub(super) async fn export(args: ExportArgs) -> Result<ExitCode, Problem> {
    let path = args.output.filter(|path| path.as_os_str() != "-");
    if path.is_none() && io::stdout().is_terminal() {
        return Err(Problem::Usage("a run is a file: name one with -o, or pipe it somewhere".into()));
    }
    let service = Service::new(&args.service, Scope::View)?;
    let request = proto::ExportRequest { agent_id: args.agent, run_id: args.run, mask: args.mask };
    let mut pieces = service.connect().await?.export(request).await?.into_inner();
    let mut target = match path {
        None => Target::Stdout,
        Some(path) => Target::open(path)?,
    };
    // A file that was begun must not be left behind. Anywhere else a signal ends the process, even while it writes.
    let mut signals = match &target {
        Target::File(_) => Some([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]),
        Target::Stdout | Target::Stream(..) => None,
    };
    loop {
        let piece = tokio::select! {
            piece = pieces.message() => piece?,
            () = signalled(&mut signals) => return Err(Problem::Failed("interrupted".into())),
        };
        match piece {
            Some(piece) => target.write(&piece.chunk)?,
            None => break,
        }
    }
    target.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Comes back with a signal; never without any to wait for.
async fn signalled(signals: &mut Option<[Signal; 2]>) {
    match signals {
        None => std::future::pending().await,
        Some([one, other]) => tokio::select! { _ = one.recv() => {}, _ = other.recv() => {} },
    }
}

/// Where an export goes.
enum Target {
    Stdout,
    /// What is no file, like a pipe: nothing can take its place.
    Stream(PathBuf, File),
    File(Draft),
}

/// A file that takes its place when it is whole, and is gone otherwise.
struct Draft {
    path: PathBuf,
    draft: PathBuf,
    file: File,
}

impl Target {
    fn open(path: PathBuf) -> Result<Self, Problem> {
        let problem = |error| unwritable(&path, &error);
        match fs::metadata(&path) {
            Ok(known) if !known.is_file() => {
                let file = OpenOptions::new().write(true).open(&path).map_err(problem)?;
                Ok(Self::Stream(path, file))
            }
            // Where a link leads, and not the link, is replaced.
            Ok(_) => Ok(Self::File(Draft::beside(fs::canonicalize(&path).map_err(problem)?)?)),
            Err(_) => Ok(Self::File(Draft::beside(path)?)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Stdout => Ok(io::stdout().write_all(bytes)?),
            Self::Stream(path, file) => file.write_all(bytes).map_err(|error| unwritable(path, &error)),
            Self::File(draft) => draft.file.write_all(bytes).map_err(|error| unwritable(&draft.path, &error)),
        }
    }

    fn finish(self) -> Result<(), Problem> {
        match self {
            Self::Stdout => Ok(io::stdout().flush()?),
            Self::Stream(..) => Ok(()),
            Self::File(draft) => {
                let placed = draft.file.sync_all().and_then(|()| fs::rename(&draft.draft, &draft.path));
                placed.map_err(|error| unwritable(&draft.path, &error))
            }
        }
    }
}

impl Draft {
    fn beside(path: PathBuf) -> Result<Self, Problem> {
        let name = path.file_name().ok_or_else(|| Problem::Usage(format!("{} names no file", path.display())))?;
        let draft = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), random_id()?));
        let file = OpenOptions::new().write(true).create_new(true).open(&draft);
        let file = file.map_err(|error| unwritable(&path, &error))?;
        Ok(Self { path, draft, file })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it has taken its place there is nothing here to remove.
        let _ = fs::remove_file(&self.draft);
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::Failed(format!("cannot write {}: {error}", path.display()))
}

pub(super) async fn import(args: ImportArgs) -> Result<ExitCode, Problem> {
    let unreadable = |error: io::Error| Problem::Failed(format!("cannot read {}: {error}", args.file.display()));
    let source: Box<dyn Read + Send> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(&args.file).map_err(unreadable)?)
    };
    let service = Service::new(&args.service, Scope::Control)?;
    let mut api = service.connect().await?;
    let (pieces, waiting) = mpsc::channel(MAX_WAITING);
    let target = proto::ImportTarget { agent_id: args.agent, run_id: args.run };
    let first = pieces.try_send(proto::ImportRequest { part: Some(Part::Target(target)) });
    first.map_err(|error| Problem::Failed(error.to_string()))?;
    // A thread of its own, which is not waited for: stdin may never end.
    let (failed, failure) = oneshot::channel();
    thread::spawn(move || {
        if let Err(error) = send(source, &pieces) {
            // The pieces stay open until the call is given up: what was cut short must not look like the end.
            let _ = failed.send((error, pieces));
        }
    });
    let imported = tokio::select! {
        Ok((error, _pieces)) = failure => return Err(unreadable(error)),
        answer = api.import(ReceiverStream::new(waiting)) => answer?.into_inner(),
    };
    let mut out = Output::stdout(args.json);
    if args.json {
        out.json(&json::run::imported(imported))?
    } else {
        out.line(&told(&imported))?
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads to the end, or until nobody wants more.
fn send(mut source: impl Read, pieces: &mpsc::Sender<proto::ImportRequest>) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                let chunk = Part::Chunk(buffer[..length].to_vec().into());
                if pieces.blocking_send(proto::ImportRequest { part: Some(chunk) }).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `run r1: 10 events, #1 to #10`
fn told(imported: &proto::ImportResponse) -> String {
    let run = text::run_name(&imported.run_id);
    match imported.events {
        0 => format!("run {run}: no events"),
        1 => format!("run {run}: 1 event, #{}", imported.first_seq),
        events => format!("run {run}: {events} events, #{} to #{}", imported.first_seq, imported.last_seq),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let folder = std::env::temp_dir().join(format!("agent-debugger-{}", random_id().expect("random")));
        fs::create_dir(&folder).expect("a folder");
        let (path, link) = (folder.join("run.jsonl"), folder.join("link"));
        fs::write(&path, "before").expect("written");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        let content = || fs::read_to_string(&path).expect("there");
        let files = || fs::read_dir(&folder).expect("a folder").count();

        let mut target = Target::open(path.clone()).expect("opened");
        target.write(b"half of").expect("written");
        assert_eq!((content().as_str(), files()), ("before", 3));
        drop(target);
        assert_eq!((content().as_str(), files()), ("before", 2));

        let mut target = Target::open(link.clone()).expect("opened");
        target.write(b"after").expect("written");
        target.finish().expect("in its place");
        assert_eq!((content().as_str(), files()), ("after", 2));
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert!(matches!(Target::open("/dev/null".into()), Ok(Target::Stream(..))), "a device stays what it is");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
