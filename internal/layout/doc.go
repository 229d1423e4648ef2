// Package layout fits text into the columns of a terminal: paragraphs are wrapped,
// tables that are too wide are split into blocks of columns or into stacked rows.
//
// A report is first written without a width, as marked lines in a buffer
// (Paragraph, Table, Grid, Either), and laid out when it is printed (Print).
package layout
