// The mark: two ways, crossing.

export function Mark({ size }: { size: number }) {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#1f6feb" />
      <path d="M7 11h5.5c3.6 0 5.2 10 9 10H25" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" />
      <path d="M7 21h5.5c1.3 0 2.3-1.2 3.1-2.8M18.4 13.8c.8-1.6 1.8-2.8 3.1-2.8H25" fill="none" stroke="#ffd84d" stroke-width="3" stroke-linecap="round" />
    </svg>
  );
}
