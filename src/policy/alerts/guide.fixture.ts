/** The alerts of the guide, as they stand there. */
export const GUIDE = `alerts:
- name: blocked_request_spike
  condition: blocked_requests > 100 in 5 minutes
  severity: high
  notify: security@company.com
- name: suspicious_domain_attempt
  condition: domain matches *.xyz, *.tk, *.ml
  severity: critical
  notify: [security@company.com, oncall]
`;
