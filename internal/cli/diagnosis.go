package cli

// The files of a diagnosis that 'kabench report' reads: the document, and the text as
// 'kabench diagnose' prints it.
const (
	FileDiagnosis     = "diagnosis.json"
	FileDiagnosisText = "diagnosis.txt"
	FileDiagnosisPage = "report.html"
)
