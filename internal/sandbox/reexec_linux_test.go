package sandbox

const helperVariable = "KABENCH_SANDBOX_TEST"

func helper(what string) int { return 99 }
