//! A Rust file as the architecture tests read it: its tokens without comments and tests, each with its line.

use std::fs;
use std::path::{Path, PathBuf};

/// One file.
pub struct Source {
    /// Segments of the module's path below the crate: `src/pool/session.rs` is `pool`, `session`.
    module: Vec<String>,
    tokens: Vec<(usize, Token)>,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    /// The inside of a string literal, escapes as they are written.
    Text(String),
    Sign(char),
}

impl Source {
    /// Reads a file that was just listed.
    pub fn read(file: &Path) -> Self {
        Self::new(file, &fs::read_to_string(file).expect("a readable file"))
    }

    pub fn new(file: &Path, text: &str) -> Self {
        let inside = file.strip_prefix("src").unwrap_or(file).with_extension("");
        let module = inside
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .filter(|part| !matches!(part.as_str(), "mod" | "lib" | "main"))
            .collect();
        let tokens = without_tests(tokens(text));
        Self { module, tokens }
    }

    /// The daemon's room that the file is in; `src/lib.rs` and `src/main.rs` are in none.
    pub fn room(&self) -> Option<String> {
        self.module.first().cloned()
    }

    /// First segments of every path into the crate, be it by `crate::`, by `super::` or in a tree of either.
    pub fn names_in_the_crate(&self) -> Vec<(usize, String)> {
        let mut names = Vec::new();
        for at in 0..self.tokens.len() {
            let begins = at == 0 || self.tokens[at - 1].1 != Token::Path;
            match &self.tokens[at].1 {
                Token::Word(word) if begins && word == "crate" => {
                    self.follow(at + 1, &[], &mut names);
                }
                Token::Word(word) if begins && word == "super" => {
                    self.follow(at, &self.module, &mut names);
                }
                _ => {}
            }
        }
        names
    }

    /// Every string literal.
    pub fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.tokens.iter().filter_map(|(line, token)| match token {
            Token::Text(text) => Some((*line, text.as_str())),
            _ => None,
        })
    }

    /// The words and signs in a row.
    pub fn code(&self) -> String {
        self.tokens
            .iter()
            .map(|(_, token)| match token {
                Token::Word(word) => word.clone(),
                Token::Path => "::".to_owned(),
                Token::Sign(sign) => sign.to_string(),
                Token::Text(_) => "\"\"".to_owned(),
            })
            .collect()
    }

    /// Follows a path, or a tree of paths, from `at`, where `base` is reached; gives the first segment of each of its leaves.
    fn follow(&self, mut at: usize, base: &[String], names: &mut Vec<(usize, String)>) {
        let mut base = base.to_vec();
        loop {
            if self.is(at, &Token::Path) {
                at += 1;
            }
            let Some((line, token)) = self.tokens.get(at) else {
                return;
            };
            match token {
                Token::Word(word) if word == "super" => drop(base.pop()),
                Token::Word(word) if word == "self" => {}
                Token::Word(word) => base.push(word.clone()),
                Token::Sign('{') if at > 0 && self.is(at - 1, &Token::Path) => {
                    return self.follow_each(at + 1, &base, names);
                }
                _ => return,
            }
            at += 1;
            if !self.is(at, &Token::Path) {
                names.extend(base.first().map(|first| (*line, first.clone())));
                return;
            }
        }
    }

    /// Follows the branches behind a `{`.
    fn follow_each(&self, mut at: usize, base: &[String], names: &mut Vec<(usize, String)>) {
        let mut depth = 0_u32;
        let mut begins = true;
        while let Some((_, token)) = self.tokens.get(at) {
            if begins && depth == 0 && matches!(token, Token::Word(_)) {
                self.follow(at, base, names);
                begins = false;
            }
            match token {
                Token::Sign('{') => depth += 1,
                Token::Sign('}') if depth == 0 => return,
                Token::Sign('}') => depth -= 1,
                Token::Sign(',') => begins = true,
                _ => {}
            }
            at += 1;
        }
    }

    fn is(&self, at: usize, token: &Token) -> bool {
        self.tokens.get(at).is_some_and(|(_, found)| found == token)
    }
}

/// Takes out every item behind `#[cfg(test)]`.
fn without_tests(tokens: Vec<(usize, Token)>) -> Vec<(usize, Token)> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let is = |token: &Token, text: &str| match token {
        Token::Word(word) => word == text,
        Token::Sign(sign) => text.len() == 1 && text.starts_with(*sign),
        _ => false,
    };
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens.len() >= at + mark.len()
            && mark
                .iter()
                .enumerate()
                .all(|(offset, text)| is(&tokens[at + offset].1, text));
        if marked {
            at = end_of_item(&tokens, at + mark.len());
        } else {
            kept.push(at);
            at += 1;
        }
    }
    let mut kept = kept.into_iter().peekable();
    tokens
        .into_iter()
        .enumerate()
        .filter(|(index, _)| kept.next_if_eq(index).is_some())
        .map(|(_, token)| token)
        .collect()
}

/// Where the item that begins at `at` has ended: behind its `;` or `,`, or its closing brace.
fn end_of_item(tokens: &[(usize, Token)], mut at: usize) -> usize {
    let mut depth = 0_i32;
    while let Some((_, token)) = tokens.get(at) {
        at += 1;
        match token {
            Token::Sign('{' | '(' | '[') => depth += 1,
            Token::Sign(')' | ']') => depth -= 1,
            Token::Sign('}') => {
                depth -= 1;
                if depth <= 0 {
                    return at;
                }
            }
            Token::Sign(';' | ',') if depth == 0 => return at,
            _ => {}
        }
    }
    at
}

fn tokens(text: &str) -> Vec<(usize, Token)> {
    let bytes: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    let get = |at: usize| bytes.get(at).copied().unwrap_or('\n');
    while at < bytes.len() {
        let begin = at;
        let token = match bytes[at] {
            '/' if get(at + 1) == '/' => {
                while at < bytes.len() && bytes[at] != '\n' {
                    at += 1;
                }
                None
            }
            '/' if get(at + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (get(at), get(at + 1)) {
                        ('/', '*') => depth += 1,
                        ('*', '/') => depth -= 1,
                        _ => {
                            at += 1;
                            continue;
                        }
                    }
                    at += 2;
                    if depth == 0 || at >= bytes.len() {
                        break None;
                    }
                }
            }
            'r' if get(at + 1) == '"'
                || (get(at + 1) == '#' && matches!(get(at + 2), '"' | '#')) =>
            {
                let hashes = bytes[at + 1..]
                    .iter()
                    .take_while(|sign| **sign == '#')
                    .count();
                at += hashes + 2;
                let inside = at;
                let ends = |at: usize| {
                    get(at) == '"' && (1..=hashes).all(|offset| get(at + offset) == '#')
                };
                while at < bytes.len() && !ends(at) {
                    at += 1;
                }
                let text = bytes[inside..at].iter().collect();
                at += hashes + 1;
                Some(Token::Text(text))
            }
            '"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != '"' {
                    at += if bytes[at] == '\\' { 2 } else { 1 };
                }
                at += 1;
                Some(Token::Text(bytes[begin + 1..at - 1].iter().collect()))
            }
            // A character, not a lifetime.
            '\'' if get(at + 1) == '\\' || get(at + 2) == '\'' => {
                at += if get(at + 1) == '\\' { 3 } else { 2 };
                while at < bytes.len() && bytes[at] != '\'' {
                    at += 1;
                }
                at += 1;
                None
            }
            ':' if get(at + 1) == ':' => {
                at += 2;
                Some(Token::Path)
            }
            sign if sign.is_alphanumeric() || sign == '_' => {
                while get(at).is_alphanumeric() || get(at) == '_' {
                    at += 1;
                }
                Some(Token::Word(bytes[begin..at].iter().collect()))
            }
            sign => {
                at += 1;
                (!sign.is_whitespace()).then_some(Token::Sign(sign))
            }
        };
        tokens.extend(token.map(|token| (line, token)));
        line += bytes[begin..at.min(bytes.len())]
            .iter()
            .filter(|sign| **sign == '\n')
            .count();
    }
    tokens
}

/// Every Rust file below a folder but those of tests.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
