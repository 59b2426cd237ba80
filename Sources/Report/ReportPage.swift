import Foundation
import Logits
import Mustache

/// A part of the page: paragraphs, tables, figures, and how they were made.
struct ReportSection {
    var id: String
    var heading: String
    var paragraphs: [String] = []
    var points: [String] = []
    var tables: [Grid] = []
    var figures: [ReportFigure] = []
    var missing: [String] = []
    /// The command and snapshot behind it.
    var made = ""
    /// Files beside the page that hold the same.
    var files: [String] = []

    /// A table as the page shows it.
    struct Grid {
        var label: String
        /// Of the columns that say what a row is of, then of the cells.
        var keys: [String]
        var columns: [String]
        var rows: [(keys: [String], cells: [Cell])]

        struct Cell {
            var value: String
            /// Smaller lines under the value; those that say something of its kind are marks.
            var lines: [(line: String, isMark: Bool)] = []
        }
    }

    init(id: String, heading: String) {
        self.id = id
        self.heading = heading
    }

    /// A table of accuracies.
    init(_ table: ReportTable, made: String) {
        self.init(id: table.id, heading: table.title)
        paragraphs = [table.introduction] + table.notes
        tables = table.panels.filter { !$0.rows.isEmpty }.map { panel in
            Grid(
                label: panel.caption, keys: panel.keys, columns: panel.columns,
                rows: panel.rows.map { ($0.keys, $0.cells.map(\.shown)) })
        }
        missing = table.missing.commands
        self.made = made
        files = ["txt", "csv", "tex"].map { "\(table.id).\($0)" }
    }
}

extension TableCell {
    fileprivate var shown: ReportSection.Grid.Cell {
        var lines: [(line: String, isMark: Bool)] = []
        if let accuracy = figure?.accuracy {
            lines = [(accuracy.counts, false), ("95 %: \(accuracy.interval)", false)]
        }
        if let paper { lines.append(("paper, \(paperNetwork): \(paper.formatted(2))", false)) }
        lines += marks.map { ($0, true) }
        return .init(value: figure?.accuracy.value ?? "–", lines: lines)
    }
}

/// The one HTML page: everything in it, nothing fetched, every text escaped by the template.
struct ReportPage {
    var title: String
    var lead: String
    var snapshot: String
    var created: String
    var corpusID: String
    var command: String
    var sections: [ReportSection]

    private static let template: MustacheTemplate? = try? MustacheTemplate(
        string: String(decoding: PackageResources.report_mustache, as: UTF8.self))

    var html: String {
        guard let template = ReportPage.template else { preconditionFailure("the report's template does not parse") }
        return template.render(
            [
                "title": title, "lead": lead, "snapshot": snapshot, "created": created, "corpusID": corpusID,
                "command": command, "sections": sections.map(ReportPage.context),
            ] as [String: Any])
    }

    /// Every key is given, since a template looks for one that is missing in what is around it.
    private static func context(_ section: ReportSection) -> [String: Any] {
        [
            "id": section.id, "heading": section.heading, "paragraphs": section.paragraphs,
            "hasPoints": !section.points.isEmpty, "points": section.points, "tables": section.tables.map(context),
            "figures": section.figures.map(context), "hasMissing": !section.missing.isEmpty,
            "missingCount": section.missing.count == 1 ? "1 command" : "\(section.missing.count) commands",
            "missing": section.missing,
            "hasMade": !section.made.isEmpty, "made": section.made, "hasFiles": !section.files.isEmpty,
            "files": section.files,
        ]
    }

    private static func context(_ grid: ReportSection.Grid) -> [String: Any] {
        [
            "label": grid.label, "keyColumns": grid.keys, "columns": grid.columns,
            "rows": grid.rows.map { row -> [String: Any] in
                [
                    "keys": row.keys,
                    "cells": row.cells.map { cell -> [String: Any] in
                        [
                            "value": cell.value,
                            "lines": cell.lines.map { ["line": $0.line, "isMark": $0.isMark] as [String: Any] },
                        ]
                    },
                ]
            },
        ]
    }

    private static func context(_ figure: ReportFigure) -> [String: Any] {
        [
            "svg": figure.svg, "caption": figure.caption, "description": figure.description,
            "figureCommand": figure.command, "columns": figure.data.headings,
            "rows": figure.data.rows.map { ["keys": $0] as [String: Any] },
        ]
    }
}
