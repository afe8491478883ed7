//! What a frame costs: time by divan; bytes and PSNR printed before it.
fn main() {}
