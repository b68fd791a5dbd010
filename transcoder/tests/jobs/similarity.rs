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

fn window(one: &[u8], other: &[u8], width: usize, x: usize, y: usize) -> f64 {
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let [mut a, mut b, mut aa, mut bb, mut ab] = [0.0; 5];
    for row in y..y + 8 {
        for column in x..x + 8 {
            let (p, q) = (f64::from(one[row * width + column]), f64::from(other[row * width + column]));
            (a, b, aa, bb, ab) = (a + p, b + q, aa + p * p, bb + q * q, ab + p * q);
        }
    }
    let [a, b, aa, bb, ab] = [a, b, aa, bb, ab].map(|sum| sum / 64.0);
    let (variance_a, variance_b, covariance) = (aa - a * a, bb - b * b, ab - a * b);
    (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variance_a + variance_b + C2))
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
