//! Plots as SVG, for the README.

use std::error::Error;
use std::path::Path;

use plotters::prelude::{
    BLUE, ChartBuilder, Circle, GREEN, IntoDrawingArea, IntoLogRange, LineSeries, PathElement, RED,
    RGBColor, SVGBackend, WHITE,
};
use plotters::style::Color;

/// What is drawn over each other, in milliseconds.
pub const SERIES: [(&str, RGBColor); 3] =
    [("pause", BLUE), ("checkpoint", RED), ("restart", GREEN)];

/// Pixels.
const PANEL: (u32, u32) = (400, 320);
const FONT: &str = "sans-serif";

/// One diagram.
pub struct Panel {
    /// What the horizontal axis shows.
    pub what: &'static str,
    /// Places on it, and the milliseconds of each series there.
    pub points: Vec<(f64, [f64; SERIES.len()])>,
}

/// Draws diagrams beside each other, both axes logarithmic.
pub fn draw(file: &Path, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let columns = u32::try_from(panels.len())?;
    let area = SVGBackend::new(file, (PANEL.0 * columns, PANEL.1)).into_drawing_area();
    area.fill(&WHITE)?;
    for (panel, area) in panels.iter().zip(area.split_evenly((1, panels.len()))) {
        let along = || panel.points.iter().map(|&(x, _)| x);
        let (first, last) = (
            along().fold(f64::MAX, f64::min),
            along().fold(0.0, f64::max),
        );
        let times = || panel.points.iter().flat_map(|&(_, times)| times);
        let (least, most) = (
            times().fold(f64::MAX, f64::min),
            times().fold(0.0, f64::max),
        );
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(
                (first..last).log_scale(),
                (least / 1.5..most * 1.5).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc(panel.what)
            .y_desc("ms")
            .label_style((FONT, 12))
            .axis_desc_style((FONT, 14))
            .light_line_style(WHITE)
            .draw()?;
        for (index, (name, color)) in SERIES.into_iter().enumerate() {
            let line = || {
                panel
                    .points
                    .iter()
                    .map(move |&(x, times)| (x, times[index]))
            };
            chart
                .draw_series(LineSeries::new(line(), &color))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
            chart.draw_series(line().map(|at| Circle::new(at, 3, color.filled())))?;
        }
        chart
            .configure_series_labels()
            .label_font((FONT, 12))
            .background_style(WHITE.mix(0.8))
            .draw()?;
    }
    area.present()?;
    Ok(())
}
