"""RMSProp as other packages have it: what their calls mean, who agrees with whom, and translations."""
