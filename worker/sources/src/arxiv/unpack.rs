//! Unpacks a paper as it was uploaded: a tar or a single file, packed with gzip, bzip2 or xz or not
//! at all, whatever its name says.
//!
//! **Invariant:** no more than the given number of bytes is unpacked. Damage does not hide the
//! files before it.

use std::io::{self, Read};

use bzip2::read::MultiBzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use crate::members::{Entry, Item, Members, is_tar};

/// Memory in KiB that the decoder of an xz file may take: four times that of `xz -9`.
const XZ_MEMORY_KIB: u32 = 256 << 10;

/// The files of a paper, in the order of its tar.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    pub(super) files: Vec<PaperFile>,
    /// The reason why what follows the files cannot be read.
    pub(super) damage: Option<Damage>,
    /// Whether the paper is one file, which no tar contains.
    pub(super) single: bool,
    /// Whether the tar ends in the middle of a member.
    pub(super) is_cut: bool,
    /// Whether other bytes than zeros follow the last member of a gzip file.
    pub(super) has_trailing_bytes: bool,
    /// Whether the damage may be anywhere, and not only where reading ended.
    pub(super) is_altered: bool,
}

/// A member of a paper's tar, or the only file of the paper.
#[derive(Debug)]
pub(super) struct PaperFile {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) entry: Entry,
    /// The target of a link.
    pub(super) target: String,
}

impl PaperFile {
    /// Returns a file with this content.
    pub(super) fn of(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), bytes, entry: Entry::File, target: String::new() }
    }
}

/// The reason of a quarantined paper, with a detail.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

/// Unpacks a paper; fails if it has more than `max_bytes`.
pub(super) fn unpack(packed: &[u8], max_bytes: u64) -> Result<Unpacked, Damage> {
    let Plain { bytes, damage, has_trailing_bytes, is_altered } = plain(packed, max_bytes)?;
    let mut unpacked = Unpacked { damage, has_trailing_bytes, is_altered, ..Unpacked::default() };
    if is_tar(&bytes) {
        unpacked.add_members(&bytes, max_bytes)?;
    } else {
        unpacked.single = true;
        unpacked.files.push(PaperFile::of("paper.tex", bytes));
    }
    Ok(unpacked)
}

/// Returns what a gzip file contains, if it is one and is whole.
pub(super) fn gunzipped(packed: &[u8], max_bytes: u64) -> Result<Option<Vec<u8>>, Damage> {
    let Plain { bytes, damage, has_trailing_bytes, .. } = plain(packed, max_bytes)?;
    let is_whole = packed.starts_with(b"\x1f\x8b") && damage.is_none() && !has_trailing_bytes;
    Ok(is_whole.then_some(bytes))
}

/// Returns the bytes of the file that is packed in this one, such as a tar in another tar.
pub(super) fn unpack_inner(packed: &[u8], max_bytes: u64) -> Result<Option<Unpacked>, Damage> {
    let is_packed =
        [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ\0"].iter().any(|it| packed.starts_with(it));
    if !is_packed && !is_tar(packed) {
        return Ok(None);
    }
    unpack(packed, max_bytes).map(Some)
}

impl Unpacked {
    fn add_members(&mut self, tar: &[u8], max_bytes: u64) -> Result<(), Damage> {
        let damaged = |detail| Damage { reason: "tar_damaged", detail };
        let mut members = Members::of_whole(tar, max_bytes);
        loop {
            match members.next().map_err(|error| damaged(error.to_string()))? {
                Some(Item::Member { name, bytes, entry, target, .. }) => {
                    self.files.push(PaperFile { name, bytes, entry, target });
                }
                Some(Item::TooLarge { name, .. }) => {
                    let detail = format!("the file `{name}` is too large");
                    return Err(Damage { reason: "paper_too_large", detail });
                }
                // Compressed bytes that are damaged also cut the tar.
                Some(Item::Damaged { detail, is_cut, .. }) => {
                    self.is_cut = is_cut;
                    self.damage.get_or_insert(damaged(detail));
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }
}

/// The content of a packed file, as far as it can be unpacked.
struct Plain {
    bytes: Vec<u8>,
    damage: Option<Damage>,
    has_trailing_bytes: bool,
    /// Whether a checksum is wrong.
    is_altered: bool,
}

fn plain(packed: &[u8], max_bytes: u64) -> Result<Plain, Damage> {
    let mut bytes = Vec::new();
    let mut has_trailing_bytes = false;
    let error = match packed {
        [0x1f, 0x8b, ..] => {
            let rest = gunzip(packed, &mut bytes, max_bytes);
            let rest = rest.inspect(|rest| has_trailing_bytes = rest.iter().any(|byte| *byte != 0));
            rest.err().map(|error| ("gzip_damaged", error))
        }
        [b'B', b'Z', b'h', ..] => {
            let read = MultiBzDecoder::new(packed).take(max_bytes + 1).read_to_end(&mut bytes);
            read.err().map(|error| ("bzip2_damaged", error))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let decoder = XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB);
            let read = decoder.take(max_bytes + 1).read_to_end(&mut bytes);
            read.err().map(|error| ("xz_damaged", error))
        }
        _ => {
            bytes.extend_from_slice(packed);
            None
        }
    };
    if bytes.len() as u64 > max_bytes {
        let detail = format!("it unpacks to more than {max_bytes} bytes");
        return Err(Damage { reason: "paper_too_large", detail });
    }
    // All of it was unpacked, so any of its bytes can be those that are wrong.
    let is_altered = error.as_ref().is_some_and(|(_, error)| {
        ["checksum", "bzip2: invalid data"].iter().any(|it| error.to_string().contains(it))
    });
    let damage = error.map(|(reason, error)| Damage { reason, detail: error.to_string() });
    Ok(Plain { bytes, damage, has_trailing_bytes, is_altered })
}

/// Unpacks the members of a gzip file, and returns the bytes that follow the last one.
fn gunzip<'p>(packed: &'p [u8], bytes: &mut Vec<u8>, max_bytes: u64) -> io::Result<&'p [u8]> {
    let mut rest = packed;
    while rest.starts_with(b"\x1f\x8b") && bytes.len() as u64 <= max_bytes {
        let mut member = GzDecoder::new(rest);
        let most = max_bytes + 1 - bytes.len() as u64;
        member.by_ref().take(most).read_to_end(bytes)?;
        rest = member.into_inner();
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::members::tests::tar_of;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_of_an_upload_is_unpacked() {
        let tar = tar_of(&[("a.tex", b"A"), ("b.tex", b"B")]);
        let forms = [
            ("tar", tar.clone()),
            ("tar.gz", gz(&tar)),
            ("tar.bz2", bz(&tar)),
            ("zeros", [gz(&tar), vec![0; 100]].concat()),
            ("trailing bytes", [gz(&tar), b"junk".to_vec()].concat()),
            ("two members", [gz(&tar[..700]), gz(&tar[700..])].concat()),
        ];
        for (form, packed) in forms {
            let unpacked = unpack(&packed, 100_000).unwrap();
            let names: Vec<_> = unpacked.files.iter().map(|file| file.name.as_str()).collect();
            assert_eq!(names, ["a.tex", "b.tex"], "{form}");
            assert!(unpacked.damage.is_none() && !unpacked.single, "{form}");
            assert_eq!(unpacked.has_trailing_bytes, form == "trailing bytes");
        }
        for packed in [b"text".to_vec(), gz(b"text"), bz(b"text")] {
            let unpacked = unpack(&packed, 100_000).unwrap();
            assert!(unpacked.single);
            assert_eq!(unpacked.files[0].bytes, b"text");
        }
    }

    #[test]
    fn damage_is_reported_after_the_files_before_it() {
        let noise: Vec<u8> =
            (0..5000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let tar = tar_of(&[("a.tex", b"A"), ("fig.eps", &noise)]);
        let cases = [
            (tar[..3000].to_vec(), "tar_damaged"),
            (gz(&tar[..3000]), "tar_damaged"),
            (gz(&tar)[..2000].to_vec(), "gzip_damaged"),
        ];
        for (packed, reason) in cases {
            let unpacked = unpack(&packed, 100_000).unwrap();
            assert_eq!(unpacked.files[0].name, "a.tex");
            assert_eq!(unpacked.files.len(), 1);
            assert_eq!(unpacked.damage.unwrap().reason, reason);
        }
        assert_eq!(unpack(&gz(&noise), 4999).unwrap_err().reason, "paper_too_large");
        assert_eq!(unpack(&tar, 4999).unwrap_err().reason, "paper_too_large");
    }
}
