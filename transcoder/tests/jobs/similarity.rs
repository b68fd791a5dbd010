//! Structural similarity (Wang et al. 2004) of two luma planes, over windows of 8×8 every 4 pixels.

/// 1 for equal planes of this width.
pub fn ssim(one: &[u8], other: &[u8], width: usize) -> f64 {
    assert_eq!(one.len(), other.len());
    let height = one.len() / width;
    let (mut sum, mut windows) = (0.0, 0.0);
    for y in (0..=height.saturating_sub(8)).step_by(4) {
        for x in (0..=width.saturating_sub(8)).step_by(4) {
            sum += window(one, other, width, x, y);
            windows += 1.0;
        }
    }
    sum / windows
}

fn window(one: &[u8], other: &[u8], width: usize, left: usize, top: usize) -> f64 {
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let mut sums = [0.0; 5];
    for at in (top..top + 8).flat_map(|row| row * width + left..row * width + left + 8) {
        let (p, q) = (f64::from(one[at]), f64::from(other[at]));
        for (sum, value) in sums.iter_mut().zip([p, q, p * p, q * q, p * q]) {
            *sum += value / 64.0;
        }
    }
    let [mean, other_mean, squares, other_squares, products] = sums;
    let variances = squares - mean * mean + other_squares - other_mean * other_mean;
    let covariance = products - mean * other_mean;
    (2.0 * mean * other_mean + C1) * (2.0 * covariance + C2)
        / ((mean * mean + other_mean * other_mean + C1) * (variances + C2))
}

#[test]
fn equal_planes_are_alike_and_others_are_not() {
    let noise = |seed: u32| {
        let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        std::iter::successors(Some(seed), next).map(|state| state.to_be_bytes()[0]).take(64 * 64).collect::<Vec<_>>()
    };
    assert!((ssim(&noise(1), &noise(1), 64) - 1.0).abs() < 1e-9);
    assert!(ssim(&noise(1), &noise(2), 64) < 0.2);
}
