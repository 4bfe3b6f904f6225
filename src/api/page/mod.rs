//! The page for people: three files inside the program, no other host, no script that is not ours.
//!
//! The page puts every text of the machine into the document as text, never as markup, so a pool's words stay words; and
//! the Content-Security-Policy of the gateway would stop them otherwise.

use super::routes::Answer;

struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const FILES: [File; 3] = [
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
    File {
        path: "/page.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("page.js"),
    },
];

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
        let script = FILES[2].text;
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
            assert!(!script.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn the_page_is_small() {
        let bytes: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(bytes < 60 * 1024, "{bytes} bytes");
    }

    #[test]
    fn each_place_that_the_script_fills_stands_in_the_page() {
        let (page, script) = (FILES[0].text, FILES[2].text);
        let places: Vec<&str> = script
            .split("at(\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(places.len() > 10, "{places:?}");
        for place in places {
            assert!(page.contains(&format!("id=\"{place}\"")), "{place}");
        }
    }
}
