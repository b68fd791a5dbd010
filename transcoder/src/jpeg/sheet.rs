//! Tiles laid side by side.

use super::{JpegError, Planes, compress};
use crate::picture::{Picture, Plane, Size};

/// A sheet that is being laid; where no tile lies it is black.
#[derive(Debug)]
pub struct Sheet {
    size: Size,
    planes: [Vec<u8>; 3],
}

impl Sheet {
    /// A black sheet.
    pub fn new(size: Size) -> Self {
        let plane = |plane: Plane| {
            let (width, height, _) = plane.layout(size);
            vec![if plane == Plane::Luma { 0 } else { 128 }; width * height]
        };
        Self { size, planes: Plane::ALL.map(plane) }
    }

    /// Lays `tile` with its upper left corner at `x`, `y`, which are even.
    ///
    /// # Panics
    ///
    /// If it would lie over the edge.
    pub fn lay(&mut self, tile: &Picture, x: usize, y: usize) {
        for (plane, target) in Plane::ALL.into_iter().zip(&mut self.planes) {
            let (width, ..) = plane.layout(self.size);
            let (tile_width, ..) = plane.layout(tile.size());
            let (x, y) = if plane == Plane::Luma { (x, y) } else { (x / 2, y / 2) };
            assert!(x + tile_width <= width, "a tile lies on its sheet");
            for (row, line) in tile.rows(plane).zip(target.chunks_exact_mut(width).skip(y)) {
                line[x..x + tile_width].copy_from_slice(row);
            }
        }
    }

    /// The sheet as a JPEG.
    pub fn encode(&self) -> Result<Vec<u8>, JpegError> {
        let rows = |plane: Plane| {
            let (width, ..) = plane.layout(self.size);
            self.planes[plane as usize].chunks_exact(width).collect::<Vec<_>>()
        };
        compress(&Planes { size: self.size, planes: Plane::ALL.map(rows) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn tile(luma: u8, cb: u8, cr: u8) -> Picture {
        let size = Size::new(32, 16).expect("even");
        let bytes = [vec![luma; 512], vec![cb; 128], vec![cr; 128]].concat();
        Picture::new(size, Bytes::from(bytes)).expect("fits")
    }

    /// A sheet of two columns and two rows with three tiles.
    fn sheet() -> Sheet {
        let mut sheet = Sheet::new(Size::new(64, 32).expect("even"));
        for (tile, x, y) in [(tile(50, 90, 100), 0, 0), (tile(120, 160, 110), 32, 0), (tile(200, 128, 200), 0, 16)] {
            sheet.lay(&tile, x, y);
        }
        sheet
    }

    #[test]
    fn tiles_lie_in_their_places() {
        let sheet = sheet();
        let luma = |x: usize, y: usize| sheet.planes[0][y * 64 + x];
        assert_eq!([luma(0, 0), luma(31, 15), luma(32, 0), luma(0, 16), luma(32, 16)], [50, 50, 120, 200, 0]);
        let cr = |x: usize, y: usize| sheet.planes[2][y * 32 + x];
        assert_eq!([cr(0, 0), cr(16, 7), cr(15, 8), cr(16, 8)], [100, 110, 200, 128]);
    }

    #[tokio::test]
    async fn a_jpeg_has_the_colours_that_were_laid() {
        let jpeg = sheet().encode().expect("encodes");
        let mut program = tokio::process::Command::new("ffmpeg");
        program.args("-v error -f jpeg_pipe -i pipe:0 -pix_fmt yuvj420p -f rawvideo pipe:1".split(' '));
        program.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut judge = program.spawn().expect("ffmpeg starts");
        let mut stdin = judge.stdin.take().expect("piped");
        tokio::io::AsyncWriteExt::write_all(&mut stdin, &jpeg).await.expect("it reads");
        drop(stdin);
        let raw = judge.wait_with_output().await.expect("it ends").stdout;
        let size = Size::new(64, 32).expect("even");
        let decoded = Picture::new(size, Bytes::from(raw)).expect("the same size, 4:2:0");
        for (plane, laid) in Plane::ALL.into_iter().zip(&sheet().planes) {
            let worst = decoded.rows(plane).flatten().zip(laid).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst.is_some_and(|worst| worst <= 4), "{plane:?} differs by {worst:?}");
        }
    }

    #[test]
    #[should_panic(expected = "a tile lies on its sheet")]
    fn no_tile_lies_over_the_edge() {
        sheet().lay(&tile(0, 0, 0), 48, 0);
    }
}
