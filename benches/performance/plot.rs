//! Plots as SVG: a few lines over a logarithmic scale, readable in light and in dark.

use std::fmt::Write;

/// A line and its name.
pub(crate) type Line = (String, Vec<(f64, f64)>);

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 210.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
const COLOURS: [&str; 5] = ["#2f6fde", "#d1720b", "#1a8a5a", "#a03fc0", "#777777"];

/// A plot whose x is logarithmic, and whose y is too where it spans more than a decade.
pub(crate) fn lines(title: &str, x_name: &str, y_name: &str, lines: &[Line]) -> String {
    // Nothing of something has its place one step before one of it.
    let x_of = |x: f64| x.max(0.1).log10();
    let points = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let (low, high) = bounds(points().map(|(x, _)| x_of(x)));
    let (least, most) = bounds(points().map(|(_, y)| y));
    let log = most > least * 10.0;
    let y_of = |y: f64| if log { y.max(1e-9).log10() } else { y };
    let (bottom, top) = if log { (least.log10().floor(), most.log10().ceil()) } else { (0.0, most * 1.15) };
    let x_at = |x: f64| LEFT + (x_of(x) - low) / (high - low).max(1e-9) * (WIDTH - LEFT - RIGHT);
    let y_at = |y: f64| HEIGHT - BOTTOM - (y_of(y) - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#777\">\n<text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{title}</text>\n"
    );
    let ticks: Vec<f64> = if log {
        (bottom as i32..=top as i32).map(|power| 10_f64.powi(power)).collect()
    } else {
        (0..=4).map(|step| top / 4.0 * f64::from(step)).collect()
    };
    for tick in ticks {
        let (y, right) = (y_at(tick), WIDTH - RIGHT);
        let label = short(tick);
        put(&mut svg, format!("<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#777\" stroke-opacity=\"0.25\"/>"));
        put(&mut svg, format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0, y + 4.0));
    }
    let mut xs: Vec<f64> = points().map(|(x, _)| x).collect();
    xs.sort_unstable_by(f64::total_cmp);
    xs.dedup();
    for x in xs {
        let (at, y, label) = (x_at(x), HEIGHT - BOTTOM + 18.0, short(x));
        put(&mut svg, format!("<text x=\"{at:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>"));
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    put(&mut svg, format!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{x_name}</text>", HEIGHT - 10.0));
    put(&mut svg, format!("<text x=\"{LEFT}\" y=\"{}\">{y_name}</text>", TOP - 6.0));
    for (index, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path: Vec<_> = points.iter().map(|(x, y)| format!("{:.1} {:.1}", x_at(*x), y_at(*y))).collect();
        let path = path.join("L");
        put(&mut svg, format!("<path d=\"M{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        for (x, y) in points {
            put(&mut svg, format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x_at(*x), y_at(*y)));
        }
        let (x, y) = (WIDTH - RIGHT + 14.0, TOP + 14.0 + index as f64 * 20.0);
        put(&mut svg, format!("<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{name}</text>"));
    }
    svg.push_str("</svg>\n");
    svg
}

fn put(svg: &mut String, element: String) {
    let _ = writeln!(svg, "{element}");
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// A number as a label.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{}M", trimmed(n / 1e6)),
        n if n >= 1e3 => format!("{}k", trimmed(n / 1e3)),
        n => trimmed(n),
    }
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
