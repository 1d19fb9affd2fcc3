package main

import "fmt"

const (
	// judged is how many samples the second half of a soak must have.
	judged = 8

	// allowedGrowth is what may be added to the memory during the second half, as a part of its mean.
	allowedGrowth = 0.05
)

// sample is a server's memory at a time.
type sample struct {
	Seconds  float64 `json:"seconds"` // since the soak began
	Resident float64 `json:"resident_megabytes"`
}

// plateau says whether memory has stopped growing, judged by the line that fits the second half of the
// samples best (least squares). It is reached if that line rises from the first of them to the last by at
// most 5 % of their mean.
type plateau struct {
	Reached bool `json:"reached"`

	// Samples is how many the second half had. There are too few if there are less than 8: then nothing is
	// judged, and Reached is false.
	Samples int `json:"samples"`

	// Seconds is from the first of them to the last.
	Seconds float64 `json:"seconds"`

	// Mean is their mean.
	Mean float64 `json:"mean_megabytes"`

	// Growth is by how much the line rises. It is negative if the line falls.
	Growth float64 `json:"growth_megabytes"`

	// Allowed is the most that Growth may be.
	Allowed float64 `json:"allowed_growth_megabytes"`

	// BytesPerLogin is Growth for each login that was started in that time.
	BytesPerLogin float64 `json:"growth_bytes_per_login"`
}

// findPlateau judges samples, which are in the order of time, of a soak with a rate of logins a second.
func findPlateau(samples []sample, rate int) plateau {
	if len(samples) == 0 {
		return plateau{}
	}
	last := samples[len(samples)-1].Seconds
	for samples[0].Seconds < last/2 {
		samples = samples[1:]
	}
	p := plateau{Samples: len(samples), Seconds: last - samples[0].Seconds}
	var meanSeconds float64
	for _, one := range samples {
		meanSeconds += one.Seconds / float64(len(samples))
		p.Mean += one.Resident / float64(len(samples))
	}
	p.Allowed = allowedGrowth * p.Mean
	if p.Samples < judged {
		return p
	}
	var covariance, variance float64
	for _, one := range samples {
		covariance += (one.Seconds - meanSeconds) * (one.Resident - p.Mean)
		variance += (one.Seconds - meanSeconds) * (one.Seconds - meanSeconds)
	}
	p.Growth = covariance / variance * p.Seconds
	p.BytesPerLogin = p.Growth * (1 << 20) / (p.Seconds * float64(rate))
	p.Reached = p.Growth <= p.Allowed
	return p
}

func (p plateau) String() string {
	if p.Samples < judged {
		return fmt.Sprintf("Plateau: not judged, since the second half has %d samples and needs %d.",
			p.Samples, judged)
	}
	verdict := "not reached"
	if p.Reached {
		verdict = "reached"
	}
	return fmt.Sprintf("Plateau: %s. In the second half, %.0f s long, the line that fits the %d samples "+
		"best rises by %.2f MB\n(%.0f bytes for each login). Up to %.2f MB, 5 %% of their mean of %.1f MB, "+
		"it is a plateau.", verdict, p.Seconds, p.Samples, p.Growth, p.BytesPerLogin, p.Allowed, p.Mean)
}
