//! Recognises pages that redirect to another page, in dumps that lack the element `<redirect>`.

/// The words for a redirect in MediaWiki's languages, in lower case and without `#`.
#[rustfmt::skip]
const WORDS: [&str; 60] = [
    "alih", "aýdaw", "adkas", "amhartu", "birzuzendu", "degemer", "doorverwijzing", "ohjaus",
    "lencong", "omdiriger", "omdirigering", "patrz", "tam", "przekieruj", "przekierowanie",
    "presmeruj", "přesměruj", "preusmeri", "preusmerjenje", "preusmjeri", "redirecționează",
    "redirectionare", "redirecţionare", "redirección", "redirecionamento", "redireccion",
    "redirect", "redirection", "redireccionamento", "rinvia", "rinvio", "suuna", "tilvísun",
    "uudelleenohjaus", "đổi", "weiterleitung", "yönlendirme", "átirányítás", "ανακατευθυνση",
    "ανακατεύθυνση", "виж", "перанакіраваньне", "перенаправление", "перенапр", "перенаправлення",
    "преусмери", "пренасочване", "пренасочување", "преусмерување", "вижд", "айдау", "تحويل",
    "تغییر_مسیر", "تغییرمسیر", "הפניה", "เปลี่ยนทาง", "転送", "重定向", "重新導向", "넘겨주기",
];

/// Returns whether a page starts with a redirect, `#REDIRECT [[…]]`.
pub fn is_redirect(wikitext: &str) -> bool {
    let Some(rest) = wikitext.trim_start().strip_prefix('#') else { return false };
    let Some((word, _)) = rest.split_once("[[") else { return false };
    let word = word.trim().trim_end_matches([':', '：']).trim_end();
    let word = word.to_lowercase();
    WORDS.contains(&word.as_str()) || word == "リダイレクト"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_known_by_its_word_in_any_language_and_case() {
        for page in [
            "#REDIRECT [[Berlin]]",
            "#redirect [[Berlin]] {{R from move}}",
            "\n #Redirect: [[Berlin#History]]",
            "#REDIRECT[[Berlin]]",
            "# REDIRECT [[Berlin]]",
            "#WEITERLEITUNG [[Berlin]]",
            "#ПЕРЕНАПРАВЛЕНИЕ [[Берлин]]",
            "#REDIRECTION [[Berlin]]",
            "#転送 [[ベルリン]]",
            "#リダイレクト[[ベルリン]]",
            "#DOORVERWIJZING [[Berlijn]]",
        ] {
            assert!(is_redirect(page), "{page}");
        }
        for page in [
            "# First [[item]]",
            "The word #REDIRECT [[x]]",
            "#REDIRECT",
            "#REDIRECT to nowhere",
            "#redirecting [[x]]",
            "",
        ] {
            assert!(!is_redirect(page), "{page}");
        }
    }
}
