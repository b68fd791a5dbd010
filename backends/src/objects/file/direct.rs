//! Large files written past the page cache (`O_DIRECT`, open(2)).
//!
//! A cell of an upload is read again much later, in part, or never. In the page cache it would cost a page made for every
//! 4 KiB and a copy into it, and push out what viewers watch. So it goes to the disk from the memory it is in, or where
//! that is not aligned from a block in between.

use std::{
    fs::File,
    io::{self, IoSlice, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::super::blocks::{ALIGNMENT, BLOCK, Block, Blocks, is_aligned};

/// Below this, a file is soon read, or not worth the while, bytes.
pub(super) const LARGE: usize = BLOCK;
/// Slices in one call; Linux takes at most 1024.
const SLICES: usize = 64;

/// Writes `chunks` to a new file at `path`, which is not synced. Where the file system can't go past the page cache (tmpfs
/// before Linux 6.6, some network file systems) it goes through it.
pub(super) fn write(path: &Path, chunks: &[Bytes], blocks: &Arc<Blocks>) -> io::Result<File> {
    let flag = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
    let mut file = match File::options().write(true).create_new(true).custom_flags(flag).open(path) {
        // Linux may have made the file by then.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            File::options().write(true).create(true).truncate(true).open(path)?
        }
        opened => opened?,
    };
    let mut rest = chunks;
    while !rest.is_empty() {
        let aligned = rest.iter().take(SLICES).take_while(|chunk| is_aligned(chunk)).count();
        let (whole, others) = rest.split_at(aligned);
        write_whole(&mut file, whole)?;
        let unaligned = others.iter().take_while(|chunk| !is_aligned(chunk)).count();
        let (copied, after) = others.split_at(unaligned);
        write_copied(&mut file, copied, blocks)?;
        rest = after;
    }
    Ok(file)
}

fn write_whole(file: &mut File, chunks: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
    write_slices(file, &mut slices)
}

/// Writes what is not aligned by way of a block.
fn write_copied(file: &mut File, chunks: &[Bytes], blocks: &Arc<Blocks>) -> io::Result<()> {
    if chunks.is_empty() {
        return Ok(());
    }
    let mut block = blocks.take();
    for chunk in chunks {
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            rest = block.fill(rest);
            if block.is_full() {
                write_block(file, &mut block)?;
            }
        }
    }
    write_block(file, &mut block)
}

fn write_block(file: &mut File, block: &mut Block) -> io::Result<()> {
    let (aligned, tail) = block.split_at(block.len() - block.len() % ALIGNMENT);
    write_slices(file, &mut [IoSlice::new(aligned)])?;
    if !tail.is_empty() {
        leave_direct(file)?;
        file.write_all(tail)?;
    }
    block.clear();
    Ok(())
}

/// As `write_all`, through the page cache from where the disk wants larger alignment than ours.
pub(super) fn write_slices(file: &mut File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && is_direct(file)? => leave_direct(file)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_direct(file: &File) -> io::Result<bool> {
    Ok(fcntl_getfl(file)?.contains(OFlags::DIRECT))
}

fn leave_direct(file: &File) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags - OFlags::DIRECT)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file out of aligned and unaligned chunks is what was written, whatever its length.
    #[test]
    fn every_mixture_of_chunks_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let blocks = Blocks::keeping(2);
        let bytes: Bytes = (0..5 * BLOCK).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>().into();
        let aligned = |from: usize, to: usize| {
            let mut block = blocks.take();
            assert!(block.fill(&bytes[from..to]).is_empty());
            block.freeze()
        };
        let mixtures: [Vec<Bytes>; 4] = [
            vec![aligned(0, BLOCK), aligned(BLOCK, 2 * BLOCK)],
            vec![bytes.slice(0..100), bytes.slice(100..3 * BLOCK + 7)],
            vec![aligned(0, 3 * ALIGNMENT), bytes.slice(3 * ALIGNMENT..2 * BLOCK), aligned(2 * BLOCK, 2 * BLOCK + 1)],
            vec![bytes.slice(1..1), bytes.slice(0..7), bytes.slice(7..4 * BLOCK), aligned(4 * BLOCK, 4 * BLOCK + 5000)],
        ];
        for (number, chunks) in mixtures.into_iter().enumerate() {
            let path = folder.path().join(number.to_string());
            write(&path, &chunks, &blocks).unwrap();
            let len = chunks.iter().map(Bytes::len).sum();
            assert!(std::fs::read(&path).unwrap() == bytes[..len], "mixture {number} of {len} bytes");
        }
    }
}
