//! Compares the CPU time of reading WARC or WET records with a lower bound: a bare libdeflate loop
//! over the same bytes.
//!
//! `cargo bench -p thresher-formats --bench warc_inflate -- FILE.gz…`; without files, the bench
//! makes one from the text of the fixture. Rounds alternate, and the shortest time of each is
//! printed, in CPU seconds.

#![expect(unsafe_code, reason = "the floor is the C library itself, without our wrapper")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::Read;

use rustix::time::{ClockId, clock_gettime};
use thresher_formats::gzip::{Event, GzipLimits, GzipReader};
use thresher_formats::warc::{Item, WarcLimits, WarcReader};

const ROUNDS: usize = 9;

fn main() -> std::io::Result<()> {
    let files: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let inputs: Vec<Vec<u8>> = match &files[..] {
        [] => vec![sample()?],
        files => files.iter().map(std::fs::read).collect::<Result<_, _>>()?,
    };
    let mut best = [f64::MAX; 4];
    let mut sums = [[0u64; 2]; 4];
    let ways = [floor, hash, gzip, warc];
    for _ in 0..ROUNDS {
        for (way, (best, sum)) in ways.iter().zip(best.iter_mut().zip(&mut sums)) {
            let start = cpu_seconds();
            *sum = [0; 2];
            for input in &inputs {
                let [bytes, items] = way(input);
                sum[0] += bytes;
                sum[1] += items;
            }
            *best = best.min(cpu_seconds() - start);
        }
    }
    let names = ["libdeflate", "blake3 of input", "GzipReader", "WarcReader"];
    for ((name, seconds), [bytes, items]) in names.iter().zip(best).zip(sums) {
        let rate = bytes as f64 / 1e6 / seconds;
        let ratio = seconds / best[0];
        println!("{name:16} {seconds:8.4} s {rate:7.0} MB/s {ratio:5.2}x  {items} items");
    }
    Ok(())
}

fn sample() -> std::io::Result<Vec<u8>> {
    let file = include_bytes!("../../testdata/cc/whirlwind.warc.wet.gz");
    Ok(file.repeat(4000))
}

fn floor(input: &[u8]) -> [u64; 2] {
    let mut output = vec![0u8; 8 << 20];
    let (mut at, mut total, mut members) = (0, 0, 0);
    // SAFETY: pointers and lengths come from live slices; the decompressor is freed once.
    unsafe {
        let decompressor = libdeflate_sys::libdeflate_alloc_decompressor();
        while at < input.len() {
            let (mut consumed, mut produced) = (0, 0);
            let rest = &input[at..];
            let result = libdeflate_sys::libdeflate_gzip_decompress_ex(
                decompressor,
                rest.as_ptr().cast(),
                rest.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut consumed,
                &raw mut produced,
            );
            assert_eq!(result, 0, "the bench needs an undamaged file of small members");
            at += consumed;
            total += produced as u64;
            members += 1;
        }
        libdeflate_sys::libdeflate_free_decompressor(decompressor);
    }
    [total, members]
}

fn hash(input: &[u8]) -> [u64; 2] {
    std::hint::black_box(blake3::hash(input));
    [input.len() as u64, 1]
}

fn gzip(input: &[u8]) -> [u64; 2] {
    let mut reader = GzipReader::new(Unbuffered(input), GzipLimits::default());
    let (mut total, mut members) = (0, 0);
    loop {
        match reader.next_event() {
            Ok(Event::Piece { .. }) => {
                total += reader.piece().len() as u64;
                members += 1;
            }
            Ok(Event::Damage(damage)) => panic!("{damage:?}"),
            Ok(Event::End) => return [total, members],
            Err(error) => panic!("{error}"),
        }
    }
}

fn warc(input: &[u8]) -> [u64; 2] {
    let mut reader = WarcReader::new(Unbuffered(input), WarcLimits::default());
    let (mut total, mut records) = (0, 0);
    loop {
        match reader.next() {
            Ok(Some(Item::Record(record))) => {
                std::hint::black_box(record.header.warc_type());
                std::hint::black_box(record.header.target_uri());
                total += record.body.len() as u64;
                records += 1;
            }
            Ok(Some(Item::Quarantined(bad))) => panic!("{bad:?}"),
            Ok(None) => return [total, records],
            Err(error) => panic!("{error}"),
        }
    }
}

/// Copies into the caller's buffer, as reading a file would.
struct Unbuffered<'a>(&'a [u8]);

impl Read for Unbuffered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
