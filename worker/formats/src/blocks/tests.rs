//! A reader returns what was written, and reports everything else as damage.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

const KIND: Kind = Kind(*b"TEST");

type Written = Vec<(u128, u32, Vec<u8>)>;

fn write(path: &Path, compression: Compression, blocks: &Written) {
    let mut writer = BlockWriter::new(Vec::new(), KIND, compression).unwrap();
    for (label, count, payload) in blocks {
        writer.push(*label, *count, payload).unwrap();
    }
    fs::write(path, writer.finish(b"{\"a\":1}").unwrap()).unwrap();
}

fn read(path: &Path) -> Result<Written, BlocksError> {
    let file = BlockFile::open(path, KIND)?;
    assert_eq!(file.metadata(), b"{\"a\":1}");
    let mut cursor = file.blocks(0..file.entries().len())?;
    let mut blocks = Vec::new();
    while let Some(block) = cursor.next_block()? {
        blocks.push((block.label, block.count, block.payload.to_vec()));
    }
    Ok(blocks)
}

fn sample() -> Written {
    let text = b"the same words again and again ".repeat(20);
    vec![(7, 3, text), (u128::MAX, 0, Vec::new()), (8, 1, (0..=255).collect())]
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.blocks");
    (dir, path)
}

#[test]
fn blocks_come_back_as_written_stored_or_compressed() {
    let (_dir, path) = place();
    for blocks in [sample(), Vec::new()] {
        for compression in [Compression::None, Compression::Zstd(3)] {
            write(&path, compression, &blocks);
            assert_eq!(read(&path).unwrap(), blocks);
            let first = fs::read(&path).unwrap();
            write(&path, compression, &blocks);
            assert_eq!(fs::read(&path).unwrap(), first, "equal calls give equal bytes");
        }
    }
}

#[test]
fn any_block_is_read_by_its_number_with_the_file_closed_and_the_index_cut() {
    let (_dir, path) = place();
    // Larger than the read-ahead, so that a cursor fetches more than once.
    let blocks: Written = (0..40).map(|i| (i, 1, vec![i as u8; 100_000])).collect();
    write(&path, Compression::None, &blocks);
    assert_eq!(read(&path).unwrap(), blocks);
    let mut file = BlockFile::open(&path, KIND).unwrap();
    assert_eq!(file.read(39).unwrap(), vec![39; 100_000]);
    file.keep_only(10..13);
    file.release();
    assert_eq!(file.entries().len(), 3);
    assert_eq!(file.read(1).unwrap(), vec![11; 100_000]);
    file.keep_only(2..3);
    assert_eq!(file.read(0).unwrap(), vec![12; 100_000]);
}

#[test]
fn a_file_of_another_kind_is_named_as_such() {
    let (_dir, path) = place();
    write(&path, Compression::None, &sample());
    let error = BlockFile::open(&path, Kind(*b"ELSE")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`TEST`") && text.contains("`ELSE`"), "{text}");
    assert!(text.contains("some.blocks"), "{text}");
}

#[test]
fn a_missing_file_is_an_io_error_with_its_name() {
    let error = BlockFile::open(Path::new("/nowhere/at.all"), KIND).unwrap_err();
    assert!(matches!(&error, BlocksError::Io { .. }));
    assert!(error.to_string().contains("/nowhere/at.all"));
}

#[test]
fn every_changed_byte_is_reported_as_damage_of_the_file() {
    let (_dir, path) = place();
    for compression in [Compression::None, Compression::Zstd(1)] {
        write(&path, compression, &sample());
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                fs::write(&path, &bad).unwrap();
                match read(&path) {
                    Err(BlocksError::Damaged { file, .. }) => assert_eq!(file, path),
                    other => panic!("byte {at} xor {flip}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn every_truncation_and_any_appended_bytes_are_reported() {
    let (_dir, path) = place();
    write(&path, Compression::None, &sample());
    let good = fs::read(&path).unwrap();
    for length in 0..good.len() {
        fs::write(&path, &good[..length]).unwrap();
        assert!(matches!(read(&path), Err(BlocksError::Damaged { .. })), "length {length}");
    }
    for tail in [&b"x"[..], &[0; 4096], &good] {
        fs::write(&path, [&good, tail].concat()).unwrap();
        assert!(matches!(read(&path), Err(BlocksError::Damaged { .. })), "tail {}", tail.len());
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_damaged() {
    let (_dir, path) = place();
    write(&path, Compression::None, &sample());
    let file = BlockFile::open(&path, KIND).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert!(matches!(file.read(0), Err(BlocksError::Damaged { what: Damage::Truncated, .. })));
}

#[test]
fn a_footer_with_a_right_checksum_and_wrong_lengths_is_refused() {
    let (_dir, path) = place();
    write(&path, Compression::None, &sample());
    let good = fs::read(&path).unwrap();
    let footer_bytes = u64::from_le_bytes(good[good.len() - 24..][..8].try_into().unwrap());
    let footer_at = good.len() - layout::TRAILER_BYTES - footer_bytes as usize;
    let footer = &good[footer_at..good.len() - layout::TRAILER_BYTES];
    for at in 0..footer.len() {
        for flip in [1, 0x80] {
            let mut footer = footer.to_vec();
            footer[at] ^= flip;
            let trailer = layout::encode_trailer(KIND, &footer);
            fs::write(&path, [&good[..footer_at], &footer, &trailer].concat()).unwrap();
            let Ok(file) = BlockFile::open(&path, KIND) else { continue };
            // The metadata has no second copy; whatever is left must not fit the blocks.
            let metadata = layout::FOOTER_FIXED_BYTES..layout::FOOTER_FIXED_BYTES + 7;
            if !metadata.contains(&at) {
                let broken = (0..file.entries().len()).any(|number| file.read(number).is_err());
                assert!(broken, "footer byte {at} xor {flip}");
            }
        }
    }
}

proptest! {
    #[test]
    fn hostile_files_are_refused_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300), with_header in any::<bool>(),
    ) {
        let (_dir, path) = place();
        let header = layout::encode_file_header(KIND);
        let content = if with_header { [&header[..], &bytes].concat() } else { bytes };
        fs::write(&path, content).unwrap();
        prop_assert!(BlockFile::open(&path, KIND).is_err());
    }
}
