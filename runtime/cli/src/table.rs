//! Plain columns, laid out as kubectl does.

/// The least width of a column.
const LEAST: usize = 6;
/// The space between columns.
const SPACE: usize = 3;

/// Lines of equal columns: each as wide as its widest cell; nothing is padded at the end of a line.
pub(crate) fn layout(rows: &[Vec<String>]) -> Vec<String> {
    spaced(rows, LEAST, SPACE)
}

/// As [`layout`], with columns at least `least` wide and `space` apart.
pub(crate) fn spaced(rows: &[Vec<String>], least: usize, space: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() > column + 1).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count() + space).max().unwrap_or(0).max(least)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (index, cell) in row.iter().enumerate() {
        text.push_str(cell);
        if index + 1 < row.len() {
            let missing = widths[index].saturating_sub(cell.chars().count());
            text.extend(std::iter::repeat_n(' ', missing));
        }
    }
    text
}

/// A cell on one line: what would break the table is shown escaped.
pub(crate) fn escape(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r").replace('\u{1b}', "^[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_laid_out_as_kubectl_does() {
        let rows = [["NAME", "READY", "AGE"], ["hello-x2z4q", "1/1", "5s"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(layout(&rows), ["NAME          READY   AGE", "hello-x2z4q   1/1     5s"]);
    }
}
