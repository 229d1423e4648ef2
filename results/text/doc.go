// Package text writes results for people: for a terminal, and as Markdown.
//
// [RenderRun], [RenderReproduction] and [RenderComparison] write a document for a
// terminal, as wide as the terminal is. [RenderMarkdown] writes reports as a comment
// on a pull request. [HeadlineOf] returns the answer of a report with the figures that
// support it; other renderers, such as the page, begin with it too.
package text
