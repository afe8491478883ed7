//! The picture that comes in: a borrowed planar I420 view, checked once.
//!
//! It does not know who owns the samples or when they were taken.

use thiserror::Error;

/// One plane of samples, row after row.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// The samples; rows may be followed by padding.
    pub samples: &'a [u8],
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
}

/// A borrowed I420 picture (BT.601, studio range: black is 16, white is 235) whose planes are known to be
/// large enough.
#[derive(Clone, Copy, Debug)]
pub struct PictureSource<'a> {
    width: u32,
    height: u32,
    planes: [Plane<'a>; 3],
}

/// Why planes do not make a picture.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadPicture {
    /// Neither side may be zero.
    #[error("a picture without pixels")]
    Empty,
    /// A stride is smaller than the row it should hold.
    #[error("plane {plane}: a stride of {stride} for rows of {width}")]
    Stride {
        /// 0 is Y, 1 is U, 2 is V.
        plane: usize,
        /// What was said.
        stride: usize,
        /// Samples in a row.
        width: usize,
    },
    /// A plane ends before its last row does.
    #[error("plane {plane}: {have} samples where {need} are needed")]
    Truncated {
        /// 0 is Y, 1 is U, 2 is V.
        plane: usize,
        /// Samples there are.
        have: usize,
        /// Samples there should be.
        need: usize,
    },
}

impl<'a> PictureSource<'a> {
    /// A view of `width` × `height` pixels; `planes` are Y, U and V, the latter two of half the size in both
    /// directions, rounded up.
    ///
    /// # Errors
    /// [`BadPicture`] if a plane is too small for the size.
    pub fn new(width: u32, height: u32, planes: [Plane<'a>; 3]) -> Result<Self, BadPicture> {
        if width == 0 || height == 0 {
            return Err(BadPicture::Empty);
        }
        let picture = Self { width, height, planes };
        for (index, plane) in planes.iter().enumerate() {
            let (columns, rows) = picture.plane_size(index);
            if plane.stride < columns {
                return Err(BadPicture::Stride { plane: index, stride: plane.stride, width: columns });
            }
            let need = (rows - 1).saturating_mul(plane.stride).saturating_add(columns);
            if plane.samples.len() < need {
                return Err(BadPicture::Truncated { plane: index, have: plane.samples.len(), need });
            }
        }
        Ok(picture)
    }

    /// Width and height in pixels, both at least 1.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Columns and rows of a plane, both at least 1.
    pub(super) fn plane_size(&self, plane: usize) -> (usize, usize) {
        let (width, height) = (self.width as usize, self.height as usize);
        if plane == 0 { (width, height) } else { (width.div_ceil(2), height.div_ceil(2)) }
    }

    /// One row of a plane; empty outside of the picture.
    pub(super) fn row(&self, plane: usize, row: usize) -> &'a [u8] {
        let (columns, _) = self.plane_size(plane);
        self.planes
            .get(plane)
            .and_then(|plane| plane.samples.get(row.checked_mul(plane.stride)?..)?.get(..columns))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_that_are_too_small_are_refused() {
        let y = Plane { samples: &[0; 9], stride: 3 };
        let c = Plane { samples: &[0; 4], stride: 2 };
        let check = |width, height, planes| PictureSource::new(width, height, planes).err();
        assert_eq!(check(3, 3, [y, c, c]), None);
        assert_eq!(check(0, 3, [y, c, c]), Some(BadPicture::Empty));
        assert_eq!(check(3, 4, [y, c, c]), Some(BadPicture::Truncated { plane: 0, have: 9, need: 12 }));
        assert_eq!(check(4, 2, [y, c, c]), Some(BadPicture::Stride { plane: 0, stride: 3, width: 4 }));
        assert_eq!(
            check(3, 3, [y, c, Plane { samples: &[0; 3], stride: 2 }]),
            Some(BadPicture::Truncated { plane: 2, have: 3, need: 4 })
        );
    }

    #[test]
    fn the_padding_after_the_last_row_may_be_missing() {
        let y = Plane { samples: &[1, 2, 0, 3, 4], stride: 3 };
        let c = Plane { samples: &[5], stride: 1 };
        let picture = PictureSource::new(2, 2, [y, c, c]).unwrap();
        assert_eq!(picture.row(0, 1), [3, 4]);
        assert_eq!(picture.row(0, 2), [] as [u8; 0]);
    }
}
