//! What `Get-CsService | select …` prints as a table: a line with names, a rule of hyphens, a line for each object.

/// The columns of a table: names, and where their cells begin, in characters.
pub(super) struct Table {
    columns: Vec<(String, usize)>,
}

impl Table {
    /// The table whose names stand in the first of two lines, and the hyphens in the second.
    pub(super) fn begins(names: &str, hyphens: &str) -> Option<Table> {
        let drawn = hyphens.contains("--") && hyphens.chars().all(|c| c == '-' || c.is_whitespace());
        let names: Vec<char> = names.trim_end().chars().collect();
        if !drawn || names.is_empty() {
            return None;
        }
        let hyphens: Vec<char> = hyphens.trim_end().chars().collect();
        let starts = hyphens.iter().enumerate().filter(|(place, c)| {
            let before = place.checked_sub(1).and_then(|before| hyphens.get(before));
            **c == '-' && before != Some(&'-')
        });
        let starts: Vec<usize> = starts.map(|(place, _)| place).collect();
        let columns: Vec<(String, usize)> = cells(&names, &starts).into_iter().zip(starts).collect();
        let words = columns
            .iter()
            .all(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        words.then_some(Table { columns })
    }

    /// The names of its columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The cells of a line with their names. A cell that is cut off is an error.
    ///
    /// # Errors
    /// The cell.
    pub(super) fn row(&self, line: &str) -> Result<Vec<(&str, String)>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let values = if words.len() == self.columns.len() {
            words
        } else {
            let starts: Vec<usize> = self.columns.iter().map(|(_, start)| *start).collect();
            cells(&line.trim_end().chars().collect::<Vec<char>>(), &starts)
        };
        match values.iter().find(|value| value.ends_with('\u{2026}') || value.ends_with("...")) {
            Some(cut) => Err(cut.clone()),
            None => Ok(self.names().zip(values).collect()),
        }
    }
}

fn cells(line: &[char], starts: &[usize]) -> Vec<String> {
    let cell = |(number, start): (usize, &usize)| {
        let end = starts.get(number + 1).copied().unwrap_or(usize::MAX);
        let cell: String = line.iter().take(end).skip(*start).collect();
        cell.trim().to_owned()
    };
    starts.iter().enumerate().map(cell).collect()
}
