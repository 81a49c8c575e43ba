//! Matrices of a model, dense or product-quantised, as rows that can be added or multiplied.
//!
//! A quantised matrix is decoded when it is loaded if that needs little memory, otherwise row by
//! row when it is used. Both give the same bits, because either way a cell is `norm * centroid`,
//! rounded once. Rows are padded with zeros to whole blocks of [`LANES`] numbers, and sums run in
//! one fixed order over the blocks, so the result does not depend on the CPU.

use std::io::Read;

use super::error::LoadError;
use super::source::Source;

/// Numbers that are added side by side; part of the fixed order of summation, not a CPU's width.
pub(super) const LANES: usize = 8;

/// A quantised matrix that would take more than this when decoded stays quantised.
const DECODED_MAX_BYTES: u64 = 64 << 20;

/// Number of centroids of a sub-quantiser: a code is one byte.
const CENTROIDS: usize = 256;

pub(super) struct Matrix {
    rows: usize,
    stride: usize,
    cells: Cells,
}

enum Cells {
    Dense(Vec<f32>),
    Quantised(Quantised),
}

struct Quantised {
    codes: Vec<u8>,
    quantiser: Quantiser,
    norms: Option<Norms>,
}

struct Norms {
    codes: Vec<u8>,
    quantiser: Quantiser,
}

/// A product quantiser: `parts` sub-vectors of `part_width` numbers; the last may be narrower.
struct Quantiser {
    parts: usize,
    part_width: usize,
    last_width: usize,
    centroids: Vec<f32>,
}

/// Returns the length of a padded row.
pub(super) fn stride(dimensions: usize) -> usize {
    dimensions.next_multiple_of(LANES)
}

impl Matrix {
    pub(super) fn read_dense<R: Read>(
        source: &mut Source<R>,
        dimensions: usize,
        rows: usize,
        what: &str,
    ) -> Result<Self, LoadError> {
        read_shape(source, dimensions, rows, what)?;
        source.expect_room(rows as u64, dimensions as u64 * 4, &format!("rows of {what}"))?;
        let stride = stride(dimensions);
        let mut cells = vec![0.0; rows * stride];
        let (mut row, mut column) = (0, 0);
        source.floats((rows * dimensions) as u64, what, |value| {
            cells[row * stride + column] = value;
            column += 1;
            if column == dimensions {
                (row, column) = (row + 1, 0);
            }
        })?;
        Ok(Self { rows, stride, cells: Cells::Dense(cells) })
    }

    pub(super) fn read_quantised<R: Read>(
        source: &mut Source<R>,
        dimensions: usize,
        rows: usize,
        what: &str,
    ) -> Result<Self, LoadError> {
        let with_norms = source.flag(&format!("the norm flag of {what}"))?;
        read_shape(source, dimensions, rows, what)?;
        let code_bytes = source.int(&format!("the code size of {what}"))?;
        let code_bytes = u64::try_from(code_bytes)
            .map_err(|_| source.malformed(format!("{what} has `{code_bytes}` code bytes")))?;
        let codes = source.bytes(code_bytes.into(), &format!("codes of {what}"))?;
        let quantiser = Quantiser::read(source, dimensions, what)?;
        if rows.checked_mul(quantiser.parts) != Some(codes.len()) {
            let parts = quantiser.parts;
            return Err(source.malformed(format!(
                "{what} has `{}` code bytes for {rows} rows of {parts} parts",
                codes.len()
            )));
        }
        let norms = if with_norms {
            let codes = source.bytes(rows as u128, &format!("norm codes of {what}"))?;
            Some(Norms { codes, quantiser: Quantiser::read(source, 1, what)? })
        } else {
            None
        };
        let stride = stride(dimensions);
        let quantised = Quantised { codes, quantiser, norms };
        let cells = if (rows as u64) * (stride as u64) * 4 <= DECODED_MAX_BYTES {
            Cells::Dense(quantised.decode_all(rows, stride))
        } else {
            Cells::Quantised(quantised)
        };
        Ok(Self { rows, stride, cells })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row to `sum`, which must be one stride long.
    #[inline]
    pub(super) fn add_row(&self, row: usize, sum: &mut [f32]) {
        match &self.cells {
            Cells::Dense(cells) => {
                let start = row * self.stride;
                add(sum, &cells[start..start + self.stride]);
            }
            Cells::Quantised(quantised) => {
                quantised.each_cell(row, |column, value| sum[column] += value);
            }
        }
    }

    /// Adds rows one after the other to `sum`, which must be one stride long. Each cell gets the
    /// bits that [`Matrix::add_row`] would give it, but its sum stays in a register.
    pub(super) fn add_rows(&self, rows: &[usize], sum: &mut [f32]) {
        let Cells::Dense(cells) = &self.cells else {
            return rows.iter().for_each(|&row| self.add_row(row, sum));
        };
        for (number, sum) in sum.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut lanes = *sum;
            for &row in rows {
                let start = row * self.stride + number * LANES;
                let row: &[f32; LANES] =
                    cells[start..].first_chunk().expect("rows are whole blocks");
                for lane in 0..LANES {
                    lanes[lane] += row[lane];
                }
            }
            *sum = lanes;
        }
    }

    /// Returns the dot product of a row with `vector`, which must be one stride long.
    pub(super) fn dot_row(&self, row: usize, vector: &[f32]) -> f32 {
        match &self.cells {
            Cells::Dense(cells) => {
                let start = row * self.stride;
                dot(&cells[start..start + self.stride], vector)
            }
            Cells::Quantised(quantised) => {
                let mut lanes = [0.0; LANES];
                quantised.each_cell(row, |column, value| {
                    lanes[column % LANES] += value * vector[column];
                });
                sum_lanes(lanes)
            }
        }
    }
}

/// Adds `row` to `sum`, cell by cell.
#[inline]
pub(super) fn add(sum: &mut [f32], row: &[f32]) {
    for (sum, row) in sum.as_chunks_mut::<LANES>().0.iter_mut().zip(row.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sum[lane] += row[lane];
        }
    }
}

fn dot(row: &[f32], vector: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (row, vector) in row.as_chunks::<LANES>().0.iter().zip(vector.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            lanes[lane] += row[lane] * vector[lane];
        }
    }
    sum_lanes(lanes)
}

fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

fn read_shape<R: Read>(
    source: &mut Source<R>,
    dimensions: usize,
    rows: usize,
    what: &str,
) -> Result<(), LoadError> {
    let found = (source.long(what)?, source.long(what)?);
    let same = |found: i64, expected: usize| u64::try_from(found) == Ok(expected as u64);
    if same(found.0, rows) && same(found.1, dimensions) {
        return Ok(());
    }
    Err(source.malformed(format!(
        "{what} is `{}` x `{}`, but the header and vocabulary require {rows} x {dimensions}",
        found.0, found.1
    )))
}

impl Quantiser {
    fn read<R: Read>(
        source: &mut Source<R>,
        dimensions: usize,
        what: &str,
    ) -> Result<Self, LoadError> {
        let what = format!("the quantiser of {what}");
        let width = source
            .int_within(&format!("the dimension count of {what}"), dimensions..=dimensions)?;
        let parts = source.int_within(&format!("the part count of {what}"), 1..=dimensions)?;
        let part_width = source.int_within(&format!("the part width of {what}"), 1..=usize::MAX)?;
        let last_width = source.int_within(&format!("the last width of {what}"), 1..=dimensions)?;
        let sum = (parts - 1).checked_mul(part_width).and_then(|n| n.checked_add(last_width));
        if sum != Some(width) || last_width > part_width {
            return Err(source.malformed(format!(
                "{what} splits {width} dimensions into `{parts}` parts of `{part_width}`, \
                 the last of `{last_width}`"
            )));
        }
        let count = (width * CENTROIDS) as u64;
        let mut centroids = Vec::with_capacity(source.expect_room(count, 4, "centroids")?);
        source.floats(count, "centroids", |value| centroids.push(value))?;
        Ok(Self { parts, part_width, last_width, centroids })
    }

    fn centroid(&self, part: usize, code: u8) -> &[f32] {
        let width = if part + 1 == self.parts { self.last_width } else { self.part_width };
        let start = part * CENTROIDS * self.part_width + usize::from(code) * width;
        &self.centroids[start..start + width]
    }
}

impl Quantised {
    #[inline]
    fn each_cell(&self, row: usize, mut cell: impl FnMut(usize, f32)) {
        let quantiser = &self.quantiser;
        let norm = match &self.norms {
            Some(norms) => norms.quantiser.centroid(0, norms.codes[row])[0],
            None => 1.0,
        };
        let codes = &self.codes[row * quantiser.parts..(row + 1) * quantiser.parts];
        for (part, &code) in codes.iter().enumerate() {
            for (index, &value) in quantiser.centroid(part, code).iter().enumerate() {
                cell(part * quantiser.part_width + index, norm * value);
            }
        }
    }

    fn decode_all(&self, rows: usize, stride: usize) -> Vec<f32> {
        let mut cells = vec![0.0; rows * stride];
        for row in 0..rows {
            self.each_cell(row, |column, value| cells[row * stride + column] = value);
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a matrix of eleven columns, in three parts of 3 and a last one of 2, with row norms.
    fn quantised(rows: usize) -> Quantised {
        let noise = |n: usize| ((n * 2_654_435_761) % 1000) as f32 / 377.0 - 1.3;
        let codes = (0..rows * 4).map(|n| (n * 31 % 256) as u8).collect();
        let centroids = (0..11 * CENTROIDS).map(noise).collect();
        let quantiser = Quantiser { parts: 4, part_width: 3, last_width: 2, centroids };
        let norms = (0..CENTROIDS).map(|n| noise(n + 7)).collect();
        let norms = Norms {
            codes: (0..rows).map(|n| (n * 17 % 256) as u8).collect(),
            quantiser: Quantiser { parts: 1, part_width: 1, last_width: 1, centroids: norms },
        };
        Quantised { codes, quantiser, norms: Some(norms) }
    }

    #[test]
    fn a_matrix_that_stays_quantised_gives_the_bits_of_a_decoded_one() {
        let (rows, stride) = (300, stride(11));
        let decoded = Cells::Dense(quantised(rows).decode_all(rows, stride));
        let decoded = Matrix { rows, stride, cells: decoded };
        let coded = Matrix { rows, stride, cells: Cells::Quantised(quantised(rows)) };
        let mut sums = (vec![0.0; stride], vec![0.0; stride]);
        for row in 0..rows {
            decoded.add_row(row, &mut sums.0);
            coded.add_row(row, &mut sums.1);
            let dots = (decoded.dot_row(row, &sums.0), coded.dot_row(row, &sums.1));
            assert_eq!(dots.0.to_bits(), dots.1.to_bits(), "row {row}");
        }
        let bits = |sum: &[f32]| sum.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&sums.0), bits(&sums.1));
        let all: Vec<usize> = (0..rows).collect();
        for matrix in [&decoded, &coded] {
            let mut together = vec![0.0; stride];
            matrix.add_rows(&all, &mut together);
            assert_eq!(bits(&together), bits(&sums.0));
        }
        assert!(sums.0[..11].iter().all(|&cell| cell != 0.0));
    }
}
