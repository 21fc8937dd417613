//! The line in which libckpt says what a checkpoint took.

use ckpt_tests::Place;

/// Its figures, in milliseconds.
pub struct Line {
    /// For how long the program stood still.
    pub pause: f64,
    /// Writing the image.
    pub writing: f64,
    /// Bringing it to the disk.
    pub sync: f64,
    /// From the signal to the end of everything.
    pub total: f64,
}

impl Line {
    /// The line on standard error of the program in `place`, once it is there.
    pub fn of(place: &Place) -> Option<Self> {
        let text = place.text("err");
        let line = text
            .split_inclusive('\n')
            .find(|line| line.ends_with('\n'))?;
        let figure = |name: &str| {
            let (_, behind) = line.split_once(name)?;
            let (figure, _) = behind.split_once(" ms")?;
            figure.parse().ok()
        };
        Some(Self {
            pause: figure(", pause ")?,
            writing: figure(", writing ")?,
            sync: figure(", sync ")?,
            total: figure(", total ")?,
        })
    }
}
