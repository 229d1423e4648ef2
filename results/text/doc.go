// Package text writes results for people: for a terminal, and as Markdown.
//
// [RenderRun], [RenderReproduction] and [RenderComparison] write a document for a
// terminal, as wide as it is. [RenderMarkdown] writes reports as a comment on a
// pull request. [HeadlineOf] is the answer of a report with the figures that it
// rests on; other renderers, such as the page, begin with it too.
package text
