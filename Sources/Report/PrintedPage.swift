import Glibc
import Logits
import Platform

/// The page on paper, by Chromium (Debian: chromium).
enum PrintedPage {
    /// - Parameter page: a file; what it shows lies in it.
    static func pdf(of page: String, to path: String) throws(LogitError) {
        let draft = path + ".unfinished"
        try Files.remove(draft)
        // Chromium cannot put root into its sandbox; the page has no script and loads nothing.
        let sandbox = geteuid() == 0 ? ["--no-sandbox"] : []
        let (status, errors) = try Subprocess.run(
            ["chromium", "--headless", "--disable-gpu"] + sandbox
                + ["--no-pdf-header-footer", "--print-to-pdf=\(Files.absolute(draft))", Files.absolute(page)],
            remedy: "install it (apt-get install chromium), or leave --pdf out", input: "")
        guard status == 0, let bytes = try? Files.read(draft), bytes.starts(with: Array("%PDF-".utf8)) else {
            try? Files.remove(draft)
            let reason = errors.split(separator: "\n").last.map(String.init) ?? "exit status \(status)"
            throw LogitError(
                .io,
                "chromium could not print \(page) (\(reason)); the report is whole without it: leave --pdf out")
        }
        try Files.renameUnsynced(draft, to: path)
    }
}
