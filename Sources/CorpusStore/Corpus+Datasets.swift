import FoundationEssentials
import GRDB
import Logits
import Platform

extension Corpus {
    /// Adds one split of a dataset: the descriptor, the list of its images, and their index.
    package func addSplit(_ split: SplitDescriptor, images: [ListedImage]) throws(LogitError) {
        requireWriting()
        try Layout.check(name: split.dataset, of: "dataset")
        try Layout.check(name: split.split, of: "split")
        let known = try splits()
        if let other = known.first(where: { $0.dataset == split.dataset && $0.split == split.split }) {
            let difference =
                other.digest == split.digest ? nil : Corpus.firstDifference(try self.images(of: other), images)
            throw LogitError(
                .usage,
                difference.map {
                    "dataset \(split.dataset) already has a split \(split.split) of other images (digest \(other.digest.prefix(12)), not \(split.digest.prefix(12)): \($0)); give the new one another name, since stored rows refer to this one"
                }
                    ?? "dataset \(split.dataset) already has a split \(split.split), with the same images; give another name, since stored rows refer to this one"
            )
        }
        if let other = known.first(where: { $0.dataset == split.dataset }), other.classNames != split.classNames {
            throw LogitError(
                .badInput,
                "\(split.source) has other classes than split \(other.split) of dataset \(split.dataset) (\(split.classNames.count) and \(other.classNames.count)); give it another dataset name, or name the classes with --classes"
            )
        }
        try Files.makeDirectory("\(layout.datasets)/\(split.dataset)")
        try Files.writeDurably(Corpus.imageListBytes(images), to: layout.imageList(split.dataset, split.split))
        try Files.writeDurably(JSONFile.encode(split), to: layout.split(split.dataset, split.split))
        try catalog.write { db in try Corpus.index(split, images, in: db) }
    }

    static func index(_ split: SplitDescriptor, _ images: [ListedImage], in db: Database) throws {
        let names = String(decoding: (try? JSONEncoder().encode(split.classNames)) ?? Data(), as: UTF8.self)
        try db.execute(
            sql: "INSERT OR IGNORE INTO dataset_index (name, class_names) VALUES (?, ?)",
            arguments: [split.dataset, names])
        try db.execute(
            sql: """
                INSERT OR IGNORE INTO class_index
                SELECT d.id, j.key, j.value FROM dataset_index d, json_each(d.class_names) j WHERE d.name = ?
                """, arguments: [split.dataset])
        try db.execute(
            sql: """
                INSERT INTO split_index (dataset_id, name, digest, source, kind, image_count)
                SELECT id, ?, ?, ?, ?, ? FROM dataset_index WHERE name = ?
                """,
            arguments: [split.split, split.digest, split.source, split.kind, split.imageCount, split.dataset])
        let splitID = db.lastInsertedRowID
        let insert = try db.makeStatement(
            sql: "INSERT INTO image_index (split_id, ordinal, image, label, digest) VALUES (?, ?, ?, ?, ?)")
        for (ordinal, image) in images.enumerated() {
            try insert.execute(arguments: [splitID, ordinal, image.id, image.label, image.digest])
        }
    }

    /// All splits, by dataset and name.
    package func splits() throws(LogitError) -> [SplitDescriptor] {
        var found: [SplitDescriptor] = []
        for dataset in try Files.list(layout.datasets) where Files.isDirectory("\(layout.datasets)/\(dataset)") {
            for file in try Files.list("\(layout.datasets)/\(dataset)") where file.hasSuffix(".json") {
                let path = "\(layout.datasets)/\(dataset)/\(file)"
                let split = try JSONFile.read(SplitDescriptor.self, from: path)
                guard split.dataset == dataset, file == "\(split.split).json" else {
                    throw LogitError(
                        .corrupt, "\(path) describes \(split.dataset)/\(split.split); give the file its name back")
                }
                found.append(split)
            }
        }
        return found
    }

    /// The split asked for; where a name is left out, the only one there is, else the usual one for the purpose.
    package func split(dataset: String?, split: String?, usual: String? = nil) throws(LogitError) -> SplitDescriptor {
        let chosen = try choose(dataset: dataset, split: split, usual: usual)
        try refuseChangedDescriptor(chosen)
        return chosen
    }

    private func choose(dataset: String?, split: String?, usual: String?) throws(LogitError) -> SplitDescriptor {
        let all = try splits()
        guard !all.isEmpty else {
            throw LogitError(.notFound, "the corpus \(root) has no dataset; add one with logit dataset add")
        }
        let datasets = Set(all.map(\.dataset)).sorted()
        let name = dataset ?? (datasets.count == 1 ? datasets[0] : nil)
        guard let name else {
            throw LogitError(
                .usage,
                "the corpus has several datasets; choose one with --dataset: \(datasets.joined(separator: ", "))")
        }
        let candidates = all.filter { $0.dataset == name }
        guard !candidates.isEmpty else {
            throw LogitError(.notFound, "there is no dataset \(name); there is \(datasets.joined(separator: ", "))")
        }
        let names = candidates.map(\.split).joined(separator: ", ")
        if let wanted = split {
            guard let match = candidates.first(where: { $0.split == wanted }) else {
                throw LogitError(.notFound, "dataset \(name) has no split \(wanted); it has \(names)")
            }
            return match
        }
        if candidates.count == 1 { return candidates[0] }
        guard let match = candidates.first(where: { $0.split == usual }) else {
            throw LogitError(.usage, "dataset \(name) has several splits; choose one with --split: \(names)")
        }
        return match
    }
}
