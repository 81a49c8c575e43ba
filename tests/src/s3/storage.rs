//! What every place guarantees, whether memory, disk or S3; and what S3 must guarantee in addition.

use std::io::Read;

use anyhow::{Context, ensure};
use thresher_job::{Bytes, S3Spec};
use thresher_storage::commit::{CommitError, Committed};
use thresher_storage::{Known, Location, ReadOptions, StorageError, s3};
use thresher_tests::proxy::{Fault, Faults, Proxy};

use crate::objects::Plain;
use crate::places::{Place, noise};
use crate::{Server, case};

/// The smallest part that S3 accepts.
const PART_BYTES: usize = 5 << 20;
/// Number of objects that need more than one page of a listing.
const MANY_OBJECTS: usize = 1_100;
const RIVALS: u64 = 8;

pub(crate) fn check(server: &Server) -> anyhow::Result<()> {
    let proxy = Proxy::start(&server.address, Faults::none())?;
    s3::configure(&S3Spec {
        endpoint: proxy.url(),
        part_bytes: Bytes(PART_BYTES as u64),
        ..S3Spec::default()
    });
    let quiet = Place::s3(&server.bucket)?;
    let mut faulty = Place::s3(&server.bucket)?;
    (faulty.kind, faulty.loses_answers) = ("S3 under faults", true);
    for place in [Place::memory()?, Place::disk()?, quiet, faulty] {
        if place.loses_answers {
            proxy.set(Faults::all(7));
        }
        let named = |what: &str| format!("{}: {what}", place.kind);
        case(&named("a committed file appears whole, and not before"), || appears(&place))?;
        case(&named("a file that is dropped leaves nothing"), || dropped(&place))?;
        case(&named("a second equal commit is fine, a different one an error"), || {
            second_commits(&place)
        })?;
        case(&named("one of many concurrent writers wins, whole"), || concurrent_writers(&place))?;
        case(&named("a file that may be replaced is replaced"), || replaced(&place))?;
        case(&named("an object of another program is not overwritten"), || {
            third_party(&place, server)
        })?;
        case(&named("a range is read to its bounds"), || ranges(&place))?;
        case(&named("a missing object is named"), || missing(&place))?;
    }
    let place = Place::s3(&server.bucket)?;
    let counts = proxy.fault_counts();
    proxy.set(Faults::none());
    case("S3: a listing of many pages is whole and in order", || pages(&place, server))?;
    case("S3: an object that changed is refused by name", || changed(&place, server))?;
    case("S3: an upload whose process died is found and ended", || unfinished(&place))?;
    case("the proxy has injected every fault", || {
        let met = counts;
        println!("    {met:?}");
        let all = [
            Fault::Reset,
            Fault::LostAnswer,
            Fault::SlowDown,
            Fault::InternalError,
            Fault::Truncated,
            Fault::Slow,
            Fault::WrongEtag,
        ];
        all.iter().try_for_each(|fault| {
            ensure!(met.get(fault).is_some_and(|times| *times > 0), "{fault:?} was never met");
            Ok(())
        })
    })
}

fn appears(place: &Place) -> anyhow::Result<()> {
    let around = [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 17];
    for (number, bytes) in around.into_iter().enumerate() {
        let name = format!("appears/{number}");
        let content = noise(number as u64, bytes);
        let mut file = place.output.create(&name, "a1")?;
        std::io::Write::write_all(&mut file, &content)?;
        ensure!(place.read(&name).is_err(), "`{name}` is there before it is committed");
        let hash = blake3::hash(&content);
        let expected = Committed::Published { blake3: hash, bytes: bytes as u64 };
        let committed = file.commit()?;
        // A writer whose answer was lost finds its own file.
        let own = Committed::AlreadyThere { blake3: hash, bytes: bytes as u64 };
        ensure!(committed == expected || committed == own, "{committed:?}");
        ensure!(place.read(&name)? == content, "`{name}` of {bytes} bytes reads back otherwise");
        let size = thresher_storage::size(&place.at(&name), &ReadOptions::default())?;
        ensure!(size == Some(bytes as u64), "size {size:?}");
    }
    let names: Vec<String> = (0..around.len()).map(|number| format!("appears/{number}")).collect();
    ensure!(place.names("appears")? == names, "{:?}", place.names("appears")?);
    Ok(())
}

fn dropped(place: &Place) -> anyhow::Result<()> {
    for bytes in [100, 2 * PART_BYTES + 1] {
        let mut file = place.output.create("dropped/file", "a1")?;
        std::io::Write::write_all(&mut file, &noise(1, bytes))?;
        drop(file);
    }
    ensure!(place.names("dropped")?.is_empty());
    no_uploads(place)
}

fn no_uploads(place: &Place) -> anyhow::Result<()> {
    let Location::S3 { bucket, key } = place.output.root() else { return Ok(()) };
    let options = ReadOptions::default();
    let left = s3::unfinished(bucket, key, &options)?;
    // A writer that did not receive the answer to the start of an upload cannot end it; cleaning
    // does.
    ensure!(left.is_empty() || place.loses_answers, "{left:?}");
    left.iter().try_for_each(|upload| upload.abort(&options))?;
    Ok(())
}

fn second_commits(place: &Place) -> anyhow::Result<()> {
    for bytes in [1000, PART_BYTES + 1] {
        let name = format!("twins/{bytes}");
        let (ours, other) = (noise(1, bytes), noise(2, bytes));
        place.publish(&name, "a1", &ours)?;
        let again = place.publish(&name, "a2", &ours)?;
        ensure!(matches!(again, Committed::AlreadyThere { .. }), "{again:?}");
        let different = place.publish(&name, "a3", &other);
        let Err(CommitError::Different { ours: made, theirs, .. }) = different else {
            anyhow::bail!("a different second commit is not reported: {different:?}")
        };
        ensure!(made == blake3::hash(&other) && theirs == blake3::hash(&ours));
        ensure!(place.read(&name)? == ours, "the first one was replaced");
    }
    no_uploads(place)
}

fn concurrent_writers(place: &Place) -> anyhow::Result<()> {
    for bytes in [1000, PART_BYTES + 1] {
        let name = format!("rivals/{bytes}");
        let contents: Vec<Vec<u8>> = (0..RIVALS).map(|seed| noise(seed, bytes)).collect();
        let name = name.as_str();
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let mut running = Vec::new();
            for (number, content) in contents.iter().enumerate() {
                let tag = format!("a{number}");
                running.push(scope.spawn(move || place.publish(name, &tag, content)));
            }
            running.into_iter().map(|rival| rival.join().ok()).collect()
        });
        let found = blake3::hash(&place.read(name)?);
        let mut winners = 0;
        for (content, outcome) in contents.iter().zip(outcomes) {
            let won = blake3::hash(content) == found;
            match outcome.context("a writer panicked")? {
                Ok(committed) => {
                    ensure!(won, "{committed:?} returned to a writer whose bytes are not there");
                    winners += 1;
                }
                Err(CommitError::Different { theirs, .. }) => {
                    ensure!(!won && theirs == found, "the error names another winner");
                }
                Err(error) => return Err(error.into()),
            }
        }
        ensure!(winners == 1, "{winners} winners");
    }
    no_uploads(place)
}

fn replaced(place: &Place) -> anyhow::Result<()> {
    for bytes in [1000, PART_BYTES + 1] {
        let name = format!("replaced/{bytes}");
        for seed in [1, 2] {
            let mut file = place.output.create(&name, "a1")?;
            std::io::Write::write_all(&mut file, &noise(seed, bytes))?;
            file.commit_replacing()?;
        }
        ensure!(place.read(&name)? == noise(2, bytes));
    }
    Ok(())
}

fn third_party(place: &Place, server: &Server) -> anyhow::Result<()> {
    let (theirs, ours) = (noise(1, PART_BYTES + 1), noise(2, PART_BYTES + 1));
    match place.at("stranger") {
        Location::S3 { key, .. } => Plain::new(server)?.put(&key, theirs.clone())?,
        Location::Path(path) => std::fs::write(path, &theirs)?,
        Location::Http(_) => {}
    }
    // Twice, because the first attempt must not make the second one succeed.
    for tag in ["a1", "a2"] {
        let refused = place.publish("stranger", tag, &ours);
        ensure!(matches!(refused, Err(CommitError::Different { .. })), "{refused:?}");
    }
    ensure!(place.read("stranger")? == theirs);
    Ok(())
}

fn ranges(place: &Place) -> anyhow::Result<()> {
    let content = noise(3, 300_000);
    place.publish("ranges", "a1", &content)?;
    let all = 0..content.len() as u64;
    for range in [0..1, 5..5, 17..200_001, 299_999..300_000, 250_000..900_000, all.clone()] {
        let mut bytes = Vec::new();
        let options = ReadOptions::default();
        let opened = thresher_storage::open_range(&place.at("ranges"), range.clone(), &options);
        opened?.read_to_end(&mut bytes)?;
        let end = range.end.min(all.end) as usize;
        ensure!(bytes == content[range.start as usize..end], "{range:?}");
    }
    let beyond = thresher_storage::open_range(
        &place.at("ranges"),
        300_001..300_002,
        &ReadOptions::default(),
    );
    ensure!(matches!(beyond, Err(StorageError::Refused { .. })), "a range beyond the end opened");
    Ok(())
}

fn missing(place: &Place) -> anyhow::Result<()> {
    let nothing = place.at("missing/object");
    let Err(error) = thresher_storage::open(&nothing, &ReadOptions::default()) else {
        anyhow::bail!("opened nothing")
    };
    ensure!(matches!(error, StorageError::NotFound { .. }), "{error}");
    ensure!(error.to_string().contains(&nothing.to_string()), "{error}");
    ensure!(place.names("missing")?.is_empty());
    Ok(())
}

fn pages(place: &Place, server: &Server) -> anyhow::Result<()> {
    let Location::S3 { bucket, key } = place.at("pages") else { return Ok(()) };
    let plain = Plain::new(server)?;
    plain.runtime.block_on(async {
        let mut puts = tokio::task::JoinSet::new();
        for number in 0..MANY_OBJECTS {
            let request = plain.client.put_object().bucket(&bucket);
            puts.spawn(request.key(format!("{key}/{number:05}")).send());
            if puts.len() >= 16 {
                puts.join_next().await.context("a put")???;
            }
        }
        while let Some(put) = puts.join_next().await {
            put??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let found =
        thresher_storage::list_objects(&bucket, &format!("{key}/"), &ReadOptions::default())?;
    let expected = (0..MANY_OBJECTS).map(|number| format!("{key}/{number:05}"));
    ensure!(found.iter().map(|object| object.key.clone()).eq(expected), "{} found", found.len());
    ensure!(found.iter().all(|object| object.bytes == 0 && object.etag.is_some()));
    Ok(())
}

fn changed(place: &Place, server: &Server) -> anyhow::Result<()> {
    let location = place.at("changed");
    let Location::S3 { bucket, key } = &location else { return Ok(()) };
    let plain = Plain::new(server)?;
    plain.put(key, noise(1, 1000))?;
    let listed = thresher_storage::list_objects(bucket, key, &ReadOptions::default())?;
    let listed = listed.first().context("it is listed")?;
    let known = Known { bytes: Some(listed.bytes), etag: listed.etag.clone(), listed: true };
    let options = ReadOptions { known, ..ReadOptions::default() };
    let mut bytes = Vec::new();
    thresher_storage::open(&location, &options)?.read_to_end(&mut bytes)?;
    ensure!(bytes == noise(1, 1000), "an unchanged object reads otherwise");
    for other in [noise(2, 1000), noise(2, 999)] {
        plain.put(key, other)?;
        let Err(error) = thresher_storage::open(&location, &options) else {
            anyhow::bail!("a changed object opened")
        };
        ensure!(matches!(error, StorageError::Changed { .. }), "{error}");
        ensure!(error.to_string().contains(&location.to_string()), "{error}");
    }
    Ok(())
}

fn unfinished(place: &Place) -> anyhow::Result<()> {
    let Location::S3 { bucket, key } = place.at("unfinished") else { return Ok(()) };
    let mut file = place.output.create("unfinished/file", "a1")?;
    std::io::Write::write_all(&mut file, &noise(1, PART_BYTES + 1))?;
    // Acts as if the process had been killed, so that nothing cleans up.
    std::mem::forget(file);
    let options = ReadOptions::default();
    let left = s3::unfinished(&bucket, &key, &options)?;
    // A lost answer to the first request starts a second upload.
    ensure!(!left.is_empty(), "no upload is found");
    left.iter().try_for_each(|upload| upload.abort(&options))?;
    let left = s3::unfinished(&bucket, &key, &options)?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
