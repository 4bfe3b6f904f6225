//! The page for people: a few files inside the program, a script for each idea; no other host, no script that is not ours.
//!
//! The page puts every text of the machine into the document as text, never as markup, so a pool's words stay words; and
//! the Content-Security-Policy of the gateway would stop them otherwise.

use super::routes::Answer;

struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const FILES: [File; 13] = [
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: include_str!("page.html"),
    },
    File {
        path: "/page.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("page.css"),
    },
    script("/page.js", include_str!("page.js")),
    script("/page/text.js", include_str!("text.js")),
    script("/page/ask.js", include_str!("ask.js")),
    script("/page/status.js", include_str!("status.js")),
    script("/page/chips.js", include_str!("chips.js")),
    script("/page/charts.js", include_str!("charts.js")),
    script("/page/pools.js", include_str!("pools.js")),
    script("/page/controls.js", include_str!("controls.js")),
    script("/page/owner.js", include_str!("owner.js")),
    script("/page/firmware.js", include_str!("firmware.js")),
    script("/page/tuner.js", include_str!("tuner.js")),
];

const fn script(path: &'static str, text: &'static str) -> File {
    File {
        path,
        content_type: "text/javascript; charset=utf-8",
        text,
    }
}

/// The file at a path.
pub fn answer(path: &str) -> Option<Answer> {
    let file = FILES.iter().find(|file| file.path == path)?;
    Some(Answer {
        status: 200,
        content_type: file.content_type.into(),
        body: file.text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_from_another_host_and_nothing_stands_inline() {
        for File { path, text, .. } in FILES {
            for forbidden in [
                "http:",
                "https:",
                "//cdn",
                "<script>",
                "style=",
                "onclick",
                "javascript:",
            ] {
                assert!(!text.contains(forbidden), "{path} holds {forbidden}");
            }
        }
    }

    #[test]
    fn texts_of_the_machine_can_only_become_text() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "srcdoc",
            "DOMParser",
            "setAttribute(\"on",
            "createContextualFragment",
        ] {
            for File { path, text, .. } in &FILES[2..] {
                assert!(!text.contains(forbidden), "{path}: {forbidden}");
            }
        }
    }

    #[test]
    fn the_page_is_small() {
        // Not even packed.
        let bytes: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(bytes < 60 * 1024, "{bytes} bytes");
    }

    #[test]
    fn each_place_that_the_script_fills_stands_in_the_page() {
        let page = FILES[0].text;
        let scripts: String = FILES[2..].iter().map(|file| file.text).collect();
        let places: Vec<&str> = scripts
            .split("at(\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(places.len() > 10, "{places:?}");
        for place in places {
            assert!(page.contains(&format!("id=\"{place}\"")), "{place}");
        }
    }

    #[test]
    fn each_script_that_another_one_names_is_there() {
        for File { path, text, .. } in &FILES[2..] {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let wanted = line.split('"').nth(1).unwrap();
                assert!(answer(wanted).is_some(), "{path} imports {wanted}");
            }
        }
    }
}
